"""Jobs that make what finding music needs."""
