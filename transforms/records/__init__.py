"""What crosses a boundary, declared once: catalogs, taxonomies, labels, examples, tables, snapshots."""
