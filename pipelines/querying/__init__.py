"""Questions in SQL about a snapshot: limits, answers on the terminal and in files, the interactive shell."""
