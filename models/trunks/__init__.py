"""Networks from patches to patch embeddings, trained here or imported, and their inference."""
