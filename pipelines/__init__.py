"""Commands of catalog-tagger, one file per command."""
