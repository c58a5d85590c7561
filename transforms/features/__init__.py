"""From samples to log-mel patches, according to the feature spec."""
