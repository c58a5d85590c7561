"""The table format: paths, snapshots, SQL and DuckDB views."""
