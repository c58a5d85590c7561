"""Fits and calibrates the linear heads on track embeddings, without TensorFlow."""
