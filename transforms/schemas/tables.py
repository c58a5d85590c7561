"""Arrow schemas of every table; each column has a sentence that describes it."""

import pyarrow as pa

from transforms.schemas.columns import column
from transforms.schemas.parameters import PARAMETER_COLUMNS, PARAMETER_NAMES

SCHEMA_VERSION = 1

MIXED_SCHEMA_VERSION = 2
"""Version in the manifest of a snapshot that has rows of two taggers, or tracks that wait for a later run. Programs
that would take its rows for those of one tagger refuse it. Data files keep `SCHEMA_VERSION`."""


TAG_SCORE = pa.struct([pa.field("tag", pa.string(), nullable=False), pa.field("score", pa.float32(), nullable=False)])

FACT_COLUMNS = (
    column(
        "duration_s",
        pa.float32(),
        "Length of the audio in the file, in seconds. A cut file has less than it claims.",
    ),
    column("sample_rate", pa.int32(), "Sample rate of the source in Hz."),
    column("channels", pa.int16(), "Channels of the source."),
)
"""Facts about the audio, in `tracks` and in part files: attributes of `AudioFacts` with these names."""

FACT_NAMES = tuple(fact.name for fact in FACT_COLUMNS)

TRACKS = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key."),
        column("artist_id", pa.string(), "Artist key of the catalog.", nullable=True),
        column("album_id", pa.string(), "Album key of the catalog.", nullable=True),
        column("title", pa.string(), "Title, from the catalog.", nullable=True),
        column("artist", pa.string(), "Artist's name, from the catalog.", nullable=True),
        column("year", pa.int32(), "Year, from the catalog.", nullable=True),
        column("country", pa.string(), "Country, from the catalog.", nullable=True),
        column("language", pa.string(), "Language, from the catalog.", nullable=True),
        *FACT_COLUMNS,
        column(
            "top_tags",
            pa.list_(pa.field("element", TAG_SCORE, nullable=False)),
            "The positive tags of all categories, best score first.",
        ),
        column("tagger_id", pa.string(), "Hash of the embedding, heads, calibration, thresholds and taxonomy."),
        *PARAMETER_COLUMNS,
    ]
)
"""Further columns of the catalog follow these under their own names. Tables without parameters lack their columns."""

TRACK_TAGS = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key."),
        column("category", pa.string(), "Category of the tag, e.g. `mood`."),
        column("tag", pa.string(), "Stable tag id, e.g. `mood/calm`."),
        column("score", pa.float32(), "Calibrated probability, 0 to 1, rounded to 0.0001."),
        column("rank", pa.int16(), "Rank of the score among the track's tags of this category, from 1."),
        column(
            "is_positive",
            pa.bool_(),
            "Whether the score reaches the tag's threshold; for multiclass, whether it is the highest. A broader "
            "tag may have a higher threshold.",
        ),
        column(
            "source",
            pa.string(),
            "Where the score is from: `model`, `fused` (sources of annotations changed it), `expert` (a source "
            "overrides it) or `rule` (it follows from measurements or from other tags).",
        ),
        column(
            "model_score",
            pa.float32(),
            "Score of the model, before it is combined with an expert's. Null for tags of rules.",
            nullable=True,
        ),
        column(
            "expert_weight",
            pa.float32(),
            "Annotated weight of the tag; in a fused run, its probability according to all sources together. Null if "
            "nobody says anything.",
            nullable=True,
        ),
    ]
)

EMBEDDINGS = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key."),
        column(
            "embedding_id",
            pa.string(),
            "Hash of feature spec, trunk and pooling. Only embeddings with equal ids are comparable.",
        ),
        column(
            "embedding",
            pa.list_(pa.field("element", pa.float32(), nullable=False)),
            "Track embedding, rounded to float16 precision.",
        ),
    ]
)

LEDGER = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key. Every id of the catalog has exactly one row."),
        column("uri", pa.string(), "Audio file, as written in the catalog."),
        column(
            "status",
            pa.string(),
            "`tagged`, `carried` (carried over from the last snapshot), `rejected`, or `deferred` (not reached within "
            "`--max-core-hours`; no other table has the track).",
        ),
        column("reason", pa.string(), "Why the track was rejected; see the list of reasons.", nullable=True),
        column(
            "detail",
            pa.string(),
            "Description of the error. For a tagged track, what is wrong or odd about its file, such as `truncated`, "
            "`channels`, `level` or `coded`, joined by `; `.",
            nullable=True,
        ),
        column(
            "stage",
            pa.string(),
            "Stage in which the track was rejected: read, probe, decode or features.",
            nullable=True,
        ),
        column(
            "duplicate_of",
            pa.string(),
            "Another track with the same bytes. Duplicates are tagged like other tracks.",
            nullable=True,
        ),
        column("source_version", pa.string(), "Version of the source when it was read; changes when the source does."),
        column("source_bytes", pa.int64(), "Size of the source in bytes.", nullable=True),
        column("source_sha256", pa.string(), "SHA-256 of the source's bytes.", nullable=True),
        column(
            "decoded_fraction", pa.float32(), "Fraction of the planned patches that are usable, 0 to 1.", nullable=True
        ),
        column("feature_id", pa.string(), "Hash of the feature spec and of the extractor's version."),
        column("embedding_id", pa.string(), "Hash of feature spec, trunk and pooling."),
        column("tagger_id", pa.string(), "Hash of the embedding, heads, calibration, thresholds and taxonomy."),
        column("run_id", pa.string(), "Run that last extracted this track; empty for a deferred track."),
    ]
)

TAXONOMY = pa.schema(
    [
        column("tag", pa.string(), "Stable tag id, e.g. `mood/calm`."),
        column("category", pa.string(), "Category of the tag."),
        column("kind", pa.string(), "`binary`, `multiclass` or `multilabel`."),
        column("name", pa.string(), "Display name."),
        column("parents", pa.list_(pa.field("element", pa.string(), nullable=False)), "Broader tags."),
        column("threshold", pa.float32(), "Lowest score at which the tag is positive.", nullable=True),
        column(
            "calibration",
            pa.string(),
            "How scores were calibrated to probabilities, as JSON; `support`: held-out tracks that carry the tag.",
            nullable=True,
        ),
        column("support", pa.int64(), "Labelled training tracks that carry the tag.", nullable=True),
        column("metrics", pa.string(), "Metrics on the held-out splits, as JSON.", nullable=True),
        column(
            "other_ids",
            pa.list_(pa.field("element", pa.string(), nullable=False)),
            "Other ids of the tag: its aliases, and earlier ids that it replaces. An earlier id in several rows was "
            "split. Snapshots of earlier versions do not have this column.",
            nullable=True,
        ),
        column(
            "rule",
            pa.string(),
            "The rule that the tag follows from, as JSON; null for tags of the model. Only in snapshots with rules.",
            nullable=True,
        ),
    ]
)

LATER_COLUMNS = {"taxonomy": frozenset({"other_ids", "rule"}), "tracks": frozenset(PARAMETER_NAMES)}
"""Table -> columns that snapshots of earlier versions of this program do not have. Those of `tracks` are also missing
where no parameters are measured, and `rule` where the taxonomy has no rules.
"""

PART = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key."),
        column("source_version", pa.string(), "Version of the source when it was read."),
        column("reason", pa.string(), "Why the track was rejected; null if it was embedded.", nullable=True),
        column(
            "detail",
            pa.string(),
            "Description of the error. For a tagged track, what is wrong or odd about its file, such as `truncated`, "
            "`channels`, `level` or `coded`, joined by `; `.",
            nullable=True,
        ),
        column(
            "stage",
            pa.string(),
            "Stage in which the track was rejected; `read` without a reason: the source has the bytes that the last "
            "snapshot names, and was decoded for its parameters at most.",
            nullable=True,
        ),
        column("source_bytes", pa.int64(), "Size of the source in bytes.", nullable=True),
        column("source_sha256", pa.string(), "SHA-256 of the source's bytes.", nullable=True),
        column(
            "decoded_fraction", pa.float32(), "Fraction of the planned patches that are usable, 0 to 1.", nullable=True
        ),
        *(fact.with_nullable(True) for fact in FACT_COLUMNS),
        *PARAMETER_COLUMNS,
        column(
            "embedding",
            pa.list_(pa.field("element", pa.float32(), nullable=False)),
            "Track embedding, rounded to float16 precision; null if the track was rejected.",
            nullable=True,
        ),
    ]
)
"""A part file, the result of one chunk: one row per track, embedded or rejected."""


def _group_tags(key: str, whose: str) -> pa.Schema:
    """The columns of the tags of groups of tracks."""
    return pa.schema(
        [
            column(key, pa.string(), f"{whose} key of the catalog."),
            column("category", pa.string(), "Category of the tag, e.g. `mood`."),
            column("tag", pa.string(), "Stable tag id, e.g. `mood/calm`."),
            column("mean_score", pa.float32(), "Mean score of the tag over the tracks, 0 to 1."),
            column("positive_share", pa.float32(), "Share of the tracks whose tag is positive, 0 to 1."),
            column("tracks", pa.int32(), f"Tagged tracks of the {whose.lower()}."),
            column("score_spread", pa.float32(), "Population standard deviation of the scores over the tracks."),
            column(
                "rank",
                pa.int16(),
                "Rank of the mean score among the tags of this category, from 1; of equal means, the first tag id has "
                "the better rank.",
            ),
        ]
    )


NEIGHBOURS = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key."),
        column("rank", pa.int16(), "Rank among the neighbours of the track, from 1; hubs are ranked lower."),
        column("neighbour_id", pa.string(), "Catalog key of the neighbour."),
        column("similarity", pa.float32(), "Similarity of both tracks, -1 to 1, rounded to 0.000001."),
        column("is_duplicate", pa.bool_(), "Whether both are probably the same recording."),
        column(
            "duplicate_group",
            pa.string(),
            "Smallest key among the track and its near-duplicates; null if it has none.",
            nullable=True,
        ),
    ]
)

GROUPED_BY = {"artist_tags": "artist_id", "album_tags": "album_id"}
"""Table of tags of groups of tracks -> the column of `tracks` that names the group."""

TABLES = {
    "tracks": TRACKS,
    "track_tags": TRACK_TAGS,
    "embeddings": EMBEDDINGS,
    "ledger": LEDGER,
    "taxonomy": TAXONOMY,
    "artist_tags": _group_tags("artist_id", "Artist"),
    "album_tags": _group_tags("album_id", "Album"),
    "neighbours": NEIGHBOURS,
}

OPTIONAL = frozenset({*GROUPED_BY, "neighbours"})
"""Tables that a snapshot may have no files of: those of version 0.1, and those that `neighbours` has not made."""

PER_BUCKET = ("tracks", "track_tags", "embeddings", "ledger")
"""Tables with one file per bucket of tracks, whose rows make the content hash. The others follow from them and from the
bundle."""

DELETED_BY = {
    "track_deletes": ("track_id", PER_BUCKET),
    "artist_deletes": ("artist_id", ("artist_tags",)),
    "album_deletes": ("album_id", ("album_tags",)),
}
"""Kind of delete files -> their key column, and the tables whose rows they take out."""


def _deletes(key: str, tables: tuple[str, ...]) -> pa.Schema:
    """The columns of a delete file."""
    return pa.schema(
        [
            column(key, pa.string(), "Key of the rows that are taken out."),
            *(
                column(name, pa.int32(), f"Rows of `{name}` in files of a lower order are taken out; 0: none.")
                for name in tables
            ),
        ]
    )


DELETES = {kind: _deletes(*spec) for kind, spec in DELETED_BY.items()}
"""Kind of delete files -> their columns. A bucket has at most one file of each kind, sorted by its key."""

KEYS = {name: key for key, tables in DELETED_BY.values() for name in tables}
"""Table -> the column that names the track, artist or album of a row."""

DELETES_OF = {name: kind for kind, (_, tables) in DELETED_BY.items() for name in tables}
"""Table -> the kind of delete files that take out its rows."""

ROW_SENTENCES = {
    "tracks": "One row per tagged track: the catalog's metadata, facts about the audio, and the positive tags. "
    "Further catalog columns follow under their own names.",
    "track_tags": "One row per track and tag: every tag of the taxonomy for every tagged track, unless `--min-score` "
    "or `--top-k` left some out (see the snapshot's `options`). A tag of a rule has no row where nothing is known.",
    "embeddings": "One row per tagged track: the input of the heads and of similarity search.",
    "ledger": "One row per catalog id, with its outcome.",
    "taxonomy": "One row per tag.",
    "artist_tags": "One row per artist and tag, over the artist's tagged tracks. A track without `artist_id` belongs "
    "to none. `--min-score` and `--top-k` apply to `mean_score` and `rank`. Snapshots of version 0.1 have no rows.",
    "album_tags": "One row per album and tag, over the album's tagged tracks, as in `artist_tags`.",
    "neighbours": "One row per track and neighbour: the most similar tracks, 20 by default. "
    "`catalog-tagger neighbours` writes them; later snapshots keep them, with the tracks of their time. Other "
    "snapshots have no rows.",
}
"""Table -> sentence about its rows."""
