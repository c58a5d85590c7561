"""What the bytes and headers of a file claim: format, length, parts."""
