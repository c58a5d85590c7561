"""From patch embeddings to one track embedding. Needs only numpy (the statistics also SciPy)."""
