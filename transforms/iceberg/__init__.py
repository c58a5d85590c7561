"""Apache Iceberg's metadata of a table's snapshots, over the same Parquet files. It follows the commits."""
