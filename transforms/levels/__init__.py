"""Levels of a table: new versions of rows beside those of the last snapshot."""
