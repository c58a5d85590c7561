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

DIFF_TRACKS = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key."),
        column("change", pa.string(), "`added`, `removed` or `changed`."),
        column(
            "status_before",
            pa.string(),
            "`tagged`, `rejected` or `deferred` in snapshot A; null if it is added.",
            nullable=True,
        ),
        column(
            "status_after",
            pa.string(),
            "`tagged`, `rejected` or `deferred` in snapshot B; null if it is removed.",
            nullable=True,
        ),
        column("reason_before", pa.string(), "Why the track is rejected in snapshot A.", nullable=True),
        column("reason_after", pa.string(), "Why the track is rejected in snapshot B.", nullable=True),
        column(
            "source_changed",
            pa.bool_(),
            "Whether the bytes of the source differ; if they are not known, whether `source_version` does.",
        ),
        column("outcome_changed", pa.bool_(), "Whether status or reason differ. `carried` counts as `tagged`."),
        column("metadata_changed", pa.bool_(), "Whether `uri` or a column of `tracks` that both have differs."),
        column("tags_changed", pa.bool_(), "Whether a tag was gained or lost."),
        column(
            "scores_changed",
            pa.bool_(),
            "Whether the score of a tag that both snapshots have differs, or only one of them publishes its row.",
        ),
        column(
            "gained",
            pa.list_(pa.field("element", pa.string(), nullable=False)),
            "Tags that are positive in snapshot B only. Empty unless both snapshots tagged the track.",
        ),
        column(
            "lost",
            pa.list_(pa.field("element", pa.string(), nullable=False)),
            "Tags that are positive in snapshot A only. Empty unless both snapshots tagged the track.",
        ),
        column("max_distance", pa.float32(), "Greatest difference of a score, 0 to 1."),
    ]
)
"""`tracks.parquet` of `diff`: one row per track that differs."""

DIFF_TAGS = pa.schema(
    [
        column("tag", pa.string(), "Tag id."),
        column("category", pa.string(), "Category of the tag."),
        column("side", pa.string(), "Which snapshots have the tag: `both`, `before` or `after`."),
        column("threshold_before", pa.float32(), "Threshold in snapshot A.", nullable=True),
        column("threshold_after", pa.float32(), "Threshold in snapshot B.", nullable=True),
        column("positives_before", pa.int64(), "Tracks with the tag in snapshot A: `kept`, `lost` and `left`."),
        column("positives_after", pa.int64(), "Tracks with the tag in snapshot B: `kept`, `gained` and `entered`."),
        column("kept", pa.int64(), "Tracks with the tag in both snapshots."),
        column("gained", pa.int64(), "Tracks that both snapshots tagged, with the tag in B only."),
        column("lost", pa.int64(), "Tracks that both snapshots tagged, with the tag in A only."),
        column("entered", pa.int64(), "Tracks with the tag in B that A lacks or rejected."),
        column("left", pa.int64(), "Tracks with the tag in A that B lacks or rejected."),
        column("compared", pa.int64(), "Tracks for which both snapshots publish a score of the tag."),
        column("shifted", pa.int64(), "Tracks of `compared` whose scores differ."),
        column("mean_shift", pa.float64(), "Mean of score in B minus score in A over `compared`.", nullable=True),
        column("mean_distance", pa.float64(), "Mean size of this difference.", nullable=True),
        column("max_distance", pa.float64(), "Greatest size of this difference.", nullable=True),
        column(
            "stability_index",
            pa.float64(),
            "Population stability index of the compared scores in 10 bins of equal width: 0 if the shares of the bins "
            "are equal; above 0.25 is usually taken for a different distribution.",
            nullable=True,
        ),
        column(
            "former_ids",
            pa.string(),
            "Ids that the tag has in snapshot A and not in B, joined by a bar: it was renamed, or they were merged. Of "
            "merged tags, the highest score counts.",
            nullable=True,
        ),
    ]
)
"""`tags.parquet` of `diff`: one row per tag of either snapshot."""
