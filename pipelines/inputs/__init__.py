"""Flags that several commands share, and functions that open the inputs that they name."""
