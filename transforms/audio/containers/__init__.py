"""What a file's bytes and headers claim: format, length, parts."""
