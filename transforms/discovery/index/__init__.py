"""The search index beside a snapshot, and the table of neighbours that is made with it."""
