"""Libraries of other programs: DJ software, players, playlists, delivery tables."""
