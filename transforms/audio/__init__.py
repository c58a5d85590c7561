"""What an audio file is and how its samples are read."""
