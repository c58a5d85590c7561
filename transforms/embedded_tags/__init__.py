"""Writes fields into the metadata of audio files. The bytes of the audio do not change."""
