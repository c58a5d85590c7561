"""A chunk of sources to features, decoded in sandboxed child processes."""
