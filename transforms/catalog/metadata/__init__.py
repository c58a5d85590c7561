"""The metadata of audio files: embedded tags, genres in their spellings, and what paths say."""
