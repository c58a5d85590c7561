"""Weighted search: tags, words and conditions."""
