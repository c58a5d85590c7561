"""Networks that hear beats: import, bundles, and running them on the mels of excerpts."""
