"""Training of a trunk on TFRecord shards: data, losses, checkpoints, devices."""
