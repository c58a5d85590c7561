"""Trunks, heads, training, calibration and bundles: Keras and numpy, never Beam."""
