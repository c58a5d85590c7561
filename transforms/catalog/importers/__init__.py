"""Importers that make catalogs from folders, tables and published datasets."""
