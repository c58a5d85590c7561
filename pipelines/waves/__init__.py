"""Local runs: one pipeline after the other, each for a few buckets."""
