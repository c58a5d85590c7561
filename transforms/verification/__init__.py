"""Reads published snapshots again and reports every problem: files, rows, counts, lists, records."""
