"""How a trunk learns from TFRecord shards: data, losses, checkpoints, devices."""
