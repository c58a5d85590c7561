"""Exports of a snapshot: wide tables, tags within audio files, libraries of other programs."""
