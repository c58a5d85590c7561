"""The bodies of `import`: one module per kind of source."""
