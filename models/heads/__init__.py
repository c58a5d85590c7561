"""Linear heads on track embeddings: fitted, calibrated, applied."""
