"""Text networks of a pair with an audio trunk: a text becomes a vector in the space of patch embeddings."""
