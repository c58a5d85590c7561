"""Fits and calibrates linear heads on track embeddings, without TensorFlow."""
