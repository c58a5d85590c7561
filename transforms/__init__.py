"""Beam transforms: one composite PTransform per file, over the pure functions of `signal` and `records`."""
