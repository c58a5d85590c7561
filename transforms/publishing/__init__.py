"""From a finished run to a published, verified snapshot."""
