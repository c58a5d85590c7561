"""Measurements of a run: the declarations of all counters, processor time, and the sums of both."""
