"""Synthesised music whose tags are known by construction."""
