"""The demonstration: `python -m pipelines.demo`."""
