"""Granule positions of Ogg pages, against what their packets decode to."""
