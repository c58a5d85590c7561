"""Networks from patches to embeddings, own and ready-made, and the pooling to a track embedding."""
