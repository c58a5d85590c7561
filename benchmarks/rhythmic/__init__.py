"""Pieces of known tempo and metre: made by rule or read from notation, then rendered with a sound font."""
