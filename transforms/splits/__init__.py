"""Splits by artist, stratified splits, and the report on labels."""
