"""Model bundles: read, checked, written, described."""
