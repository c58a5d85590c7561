"""The labelled data set: work plan, TFRecord examples, shards, manifest."""
