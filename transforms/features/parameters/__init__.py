"""What a track sounds like, from its samples: key, loudness, levels and stereo."""
