"""Model bundles: reading, checks, writing, model card."""
