"""Artist-disjoint splits and reports about labels."""
