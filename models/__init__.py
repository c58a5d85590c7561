"""Trunks, heads, training, calibration and bundles: Keras and numpy, never Beam."""

import os

# TensorFlow reads this once, when it is imported, which only modules of this package do. Its C++ side writes remarks on
# the processor, and on its own graph rewriting at error level; what matters comes as an exception.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
