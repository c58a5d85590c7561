"""File formats and hashes: Arrow, Parquet, TFRecord."""
