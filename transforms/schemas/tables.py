"""Arrow schemas of every table: each column carries the sentence that documents it."""

import pyarrow as pa

from transforms.schemas.columns import column

SCHEMA_VERSION = 1


TAG_SCORE = pa.struct([pa.field("tag", pa.string(), nullable=False), pa.field("score", pa.float32(), nullable=False)])

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
        column("duration_s", pa.float32(), "Length of the decoded audio in seconds."),
        column("sample_rate", pa.int32(), "Sample rate of the source in Hz."),
        column("channels", pa.int16(), "Channels of the source."),
        column(
            "top_tags",
            pa.list_(pa.field("element", TAG_SCORE, nullable=False)),
            "The positive tags of all categories, best score first.",
        ),
        column("tagger_id", pa.string(), "Hash of the embedding, heads, calibration, thresholds and taxonomy."),
    ]
)
"""Further catalog columns follow these under their own names."""

TRACK_TAGS = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key."),
        column("category", pa.string(), "Category of the tag, e.g. `mood`."),
        column("tag", pa.string(), "Stable tag id, e.g. `mood/calm`."),
        column("score", pa.float32(), "Calibrated probability, 0 to 1, rounded to 0.0001."),
        column("rank", pa.int16(), "Place among the track's tags of this category, from 1."),
        column(
            "is_positive",
            pa.bool_(),
            "Score at or over the tag's threshold (a parent's may be higher); for multiclass the one highest.",
        ),
        column("source", pa.string(), "Where the score is from: `model`, `expert` or `fused`."),
        column("model_score", pa.float32(), "The model's score before any expert's.", nullable=True),
        column("expert_weight", pa.float32(), "Weight that an annotator gave, null where none did.", nullable=True),
    ]
)

EMBEDDINGS = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key."),
        column("embedding_id", pa.string(), "Hash of feature spec, trunk and pooling: compare like with like."),
        column(
            "embedding",
            pa.list_(pa.field("element", pa.float32(), nullable=False)),
            "Track embedding, rounded to float16 precision.",
        ),
    ]
)

LEDGER = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key; every id of the catalog has exactly one row."),
        column("uri", pa.string(), "Where the audio was read from, as the catalog wrote it."),
        column("status", pa.string(), "`tagged`, `carried` (unchanged since the last snapshot) or `rejected`."),
        column("reason", pa.string(), "Why it was rejected; see the list of reasons.", nullable=True),
        column("detail", pa.string(), "What was found, in words.", nullable=True),
        column("stage", pa.string(), "Where it was rejected: read, probe, decode or features.", nullable=True),
        column("duplicate_of", pa.string(), "Another track with the same bytes (tagged all the same).", nullable=True),
        column("source_version", pa.string(), "What the source was when it was read: changes when it does."),
        column("source_bytes", pa.int64(), "Size of the source in bytes.", nullable=True),
        column("source_sha256", pa.string(), "SHA-256 of the source's bytes.", nullable=True),
        column("decoded_fraction", pa.float32(), "Good share of the planned patches, 0 to 1.", nullable=True),
        column("feature_id", pa.string(), "Hash of the feature spec and of the extractor's version."),
        column("embedding_id", pa.string(), "Hash of feature spec, trunk and pooling."),
        column("tagger_id", pa.string(), "Hash of the embedding, heads, calibration, thresholds and taxonomy."),
        column("run_id", pa.string(), "Run in which this track was last extracted."),
    ]
)

TAXONOMY = pa.schema(
    [
        column("tag", pa.string(), "Stable tag id, e.g. `mood/calm`."),
        column("category", pa.string(), "Category of the tag."),
        column("kind", pa.string(), "`binary`, `multiclass` or `multilabel`."),
        column("name", pa.string(), "Display name."),
        column("parents", pa.list_(pa.field("element", pa.string(), nullable=False)), "Broader tags."),
        column("threshold", pa.float32(), "Score from which on the tag is positive.", nullable=True),
        column(
            "calibration",
            pa.string(),
            "How scores were made probabilities, as JSON; `support`: held-out tracks that carry the tag.",
            nullable=True,
        ),
        column("support", pa.int64(), "Labelled training tracks that carry the tag.", nullable=True),
        column("metrics", pa.string(), "Metrics on the held-out splits, as JSON.", nullable=True),
    ]
)

PART = pa.schema(
    [
        column("track_id", pa.string(), "Catalog key."),
        column("source_version", pa.string(), "What the source was when it was read."),
        column("reason", pa.string(), "Why it was rejected; null when it was embedded.", nullable=True),
        column("detail", pa.string(), "What was found, in words.", nullable=True),
        column("stage", pa.string(), "Where it was rejected.", nullable=True),
        column("source_bytes", pa.int64(), "Size of the source in bytes.", nullable=True),
        column("source_sha256", pa.string(), "SHA-256 of the source's bytes.", nullable=True),
        column("decoded_fraction", pa.float32(), "Good share of the planned patches.", nullable=True),
        column("duration_s", pa.float32(), "Length of the decoded audio in seconds.", nullable=True),
        column("sample_rate", pa.int32(), "Sample rate of the source in Hz.", nullable=True),
        column("channels", pa.int16(), "Channels of the source.", nullable=True),
        column(
            "embedding",
            pa.list_(pa.field("element", pa.float32(), nullable=False)),
            "Track embedding, rounded to float16 precision; null when rejected.",
            nullable=True,
        ),
    ]
)
"""What one chunk leaves behind: one row per track, embedded or rejected."""

TABLES = {"tracks": TRACKS, "track_tags": TRACK_TAGS, "embeddings": EMBEDDINGS, "ledger": LEDGER, "taxonomy": TAXONOMY}
