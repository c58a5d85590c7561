"""Arrow schema of the Parquet file of a bundle."""

import pyarrow as pa

from transforms.schemas.columns import column

BUNDLE_SPLITS = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key of a labelled track."),
        column("group", pa.string(), "Split group of the track: its artist, or the substitute for a missing artist."),
        column("split", pa.string(), "`train`, `validation`, `test`, or `none` for a track that was left out."),
    ]
)
"""`splits.parquet`: one row per labelled track."""
