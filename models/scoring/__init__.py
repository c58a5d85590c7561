"""Applies fitted heads and rates scores: numpy alone."""
