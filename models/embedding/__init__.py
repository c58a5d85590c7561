"""Patch embeddings to one track embedding: numpy alone."""
