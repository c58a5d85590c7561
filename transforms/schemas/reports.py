"""Arrow schemas of the Parquet files that `labels` and `evaluate` write."""

import pyarrow as pa

from transforms.schemas.columns import column

_PARTNER = pa.struct(
    [
        pa.field("tag", pa.string(), nullable=False),
        pa.field("tracks", pa.int64(), nullable=False),
        pa.field("jaccard", pa.float64(), nullable=False),
        pa.field("lift", pa.float64(), nullable=False),
    ]
)

LABELS = pa.schema(
    [
        column("tag", pa.string(), "Tag id."),
        column("category", pa.string(), "Category of the tag."),
        column("kind", pa.string(), "Kind of the category: `binary`, `multiclass` or `multilabel`."),
        column("tracks", pa.int64(), "Tracks that carry the tag or a narrower one (target over 0)."),
        column("known", pa.int64(), "Tracks for which the category is known."),
        column("mean_target", pa.float32(), "Mean target of `tracks`; null if there are none.", nullable=True),
        column(
            "artists", pa.int64(), "Artists of `tracks`; an unknown artist counts as one per album, else per track."
        ),
        column("train", pa.int64(), "Tracks of the train split that carry the tag."),
        column("validation", pa.int64(), "Tracks of the validation split that carry the tag."),
        column("test", pa.int64(), "Tracks of the test split that carry the tag."),
        column("dropped", pa.string(), "Why the reduced taxonomy lacks the tag; null if it is kept.", nullable=True),
        column(
            "together",
            pa.list_(pa.field("element", _PARTNER, nullable=False)),
            "The tags with which the tag co-occurs most, by Jaccard index. `lift` is relative to independence among "
            "the tracks for which both categories are known. Broader and narrower tags are left out.",
        ),
    ]
)
"""`labels.parquet`: one row per tag of the taxonomy."""

LABEL_CONFLICTS = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key."),
        column("category", pa.string(), "Category whose annotations contradict its kind; masked for this track."),
        column("kind", pa.string(), "Kind of the category: `binary` or `multiclass`."),
        column("tags", pa.string(), "All tags of the track, with their weights."),
        column("file", pa.string(), "File of the catalog."),
        column("row", pa.int64(), "Data row in that file, from 1."),
    ]
)
"""`conflicts.parquet` of `labels`: one row per track and contradictory category."""

TAG_METRICS = pa.schema(
    [
        column("model", pa.string(), "`tagger`, or the name of a baseline."),
        column("slice", pa.string(), "`all`, or a range of durations."),
        column("category", pa.string(), "Category of the tag."),
        column("tag", pa.string(), "Stable tag id."),
        column("metric", pa.string(), "`roc_auc`, `pr_auc`, `f1`, `precision`, `recall` or `ece`."),
        column("value", pa.float64(), "Value on the sample; null if undefined.", nullable=True),
        column("low", pa.float64(), "Lower end of the confidence interval; null for too few artists.", nullable=True),
        column("high", pa.float64(), "Upper end of the confidence interval; null for too few artists.", nullable=True),
        column("support", pa.int64(), "Tracks of `known` that carry the tag."),
        column("known", pa.int64(), "Tracks for which the tag's category was annotated."),
        column("artists", pa.int64(), "Artists with the tag, or artists without it if these are fewer."),
    ]
)
"""`tags.parquet` of `evaluate`: one row per model, slice, tag and metric."""
