"""Decoders from bytes to samples: libsndfile, PyAV and MP3 packets."""
