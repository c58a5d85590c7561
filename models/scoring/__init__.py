"""Applies fitted heads and computes metrics of scores. Needs only numpy."""
