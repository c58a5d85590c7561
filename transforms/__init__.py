"""Beam transforms, one composite PTransform per file; the folders contain the pure functions that they call."""
