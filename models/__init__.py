"""Trunks, heads, training, calibration and bundles: Keras and numpy, never Beam."""

import os

# TensorFlow reads this variable once, at import, and only modules of this package import it. Its C++ code logs remarks
# on the processor, and logs its own graph rewriting at error level. Real failures raise exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
