"""Arrow schemas of the Parquet files of a dataset."""

import pyarrow as pa

from transforms.schemas.columns import column

DATASET_REJECTS = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key."),
        column("uri", pa.string(), "Audio file, as written in the catalog."),
        column("split", pa.string(), "Split that the track was assigned to."),
        column("reason", pa.string(), "Why the track has no example: one of the reasons above, or `tied`."),
        column("detail", pa.string(), "Description of the error.", nullable=True),
        column(
            "stage",
            pa.string(),
            "Stage in which the track was rejected: read, probe, decode, features or split.",
            nullable=True,
        ),
        column("sha256", pa.string(), "SHA-256 of the source's bytes; null if it was not read.", nullable=True),
    ]
)
"""`rejects.parquet`: one row per labelled track without an example."""

DATASET_CONFLICTS = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key of an example."),
        column("split", pa.string(), "Split of the example."),
        column("category", pa.string(), "Category with contradictory annotations; masked in this example."),
    ]
)
"""`conflicts.parquet`: one row per example and masked category."""
