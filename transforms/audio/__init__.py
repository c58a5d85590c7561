"""Audio files: containers, decoders and their errors."""
