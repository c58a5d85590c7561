"""Jobs of catalog-tagger: one file per command, readable top to bottom."""
