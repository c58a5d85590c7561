"""Catalogs made from folders, tables and published data sets."""
