"""Samples to log-mel patches, as the feature spec says."""
