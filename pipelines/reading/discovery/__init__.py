"""What the commands do that find music in a snapshot."""
