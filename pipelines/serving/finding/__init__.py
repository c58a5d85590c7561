"""What finds music for requests: weighted search, similar tracks, recommendations, audio features."""
