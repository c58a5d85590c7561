"""`tag --plan`: what a run would do and cost. Reads and decides, writes nothing."""
