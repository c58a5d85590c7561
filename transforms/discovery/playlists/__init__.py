"""Playlists: which tracks, in which order, and the files."""
