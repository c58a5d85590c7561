"""Finding music in a published snapshot: similarity of tracks, exact search, neighbours, the search index."""
