"""The labelled dataset: plan, examples, shards, manifest."""
