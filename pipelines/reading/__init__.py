"""What the commands do that change nothing: one module per command, as in `pipelines.jobs`."""
