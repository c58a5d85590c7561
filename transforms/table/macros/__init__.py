"""Functions of SQL over a snapshot's tables: tracks with a tag, a weighted search, similar tracks."""
