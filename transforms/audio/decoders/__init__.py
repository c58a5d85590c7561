"""Samples out of files: libsndfile, PyAV and MP3 packets."""
