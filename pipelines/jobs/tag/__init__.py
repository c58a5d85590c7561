"""The job of `tag`: options that are checked, the graph, and how it is run until its snapshot is published."""
