"""Writes docs/reference/tables.md from the schemas, so that each column is documented once.

python -m pipelines.docs.tables > docs/reference/tables.md
"""

import sys
import textwrap
from collections.abc import Iterator

import pyarrow as pa

from transforms.audio.errors import REASONS
from transforms.formats.parquet import SORTED_BY
from transforms.schemas.bundle import BUNDLE_SPLITS
from transforms.schemas.catalog import CATALOG
from transforms.schemas.dataset import DATASET_CONFLICTS, DATASET_REJECTS
from transforms.schemas.fusion import FUSED_COLUMNS
from transforms.schemas.reports import DIFF_TAGS, DIFF_TRACKS, LABEL_CONFLICTS, LABELS, TAG_METRICS
from transforms.schemas.tables import DELETED_BY, DELETES, PART, ROW_SENTENCES, SCHEMA_VERSION, TABLES

OTHER_FILES = {
    "Catalog": (
        "The input: Parquet, CSV or JSON Lines with these columns. Only `track_id` and `uri` are required. In CSV, "
        "tags are joined by a bar, and `mood/calm:0.7` has a weight. [catalog.md](catalog.md) has the complete format.",
        CATALOG,
    ),
    "Part files": (
        "The result of one chunk, stored under `work/` while a run is in progress. Part files are not part of a "
        "snapshot. A later run takes its tracks from them instead of decoding the tracks again.",
        PART,
    ),
    "Dataset: rejects.parquet": (
        "Written by `prepare`. One row per labelled track without an example. `tied` means that the same bytes are on "
        "two sides of the split. Rows are sorted by `track_id`.",
        DATASET_REJECTS,
    ),
    "Dataset: conflicts.parquet": (
        "Written by `prepare`. One row per example and category with contradictory annotations. Rows are sorted by "
        "`track_id`, `category`.",
        DATASET_CONFLICTS,
    ),
    "Bundle: splits.parquet": (
        "Written by `train` and `refit`. One row per labelled track: the split that the bundle was fitted with. Rows "
        "are sorted by `track_id`.",
        BUNDLE_SPLITS,
    ),
    "Labels: labels.parquet": ("Written by `labels`. One row per tag of the taxonomy.", LABELS),
    "Labels: conflicts.parquet": (
        "Written by `labels`. One row per track and category with contradictory annotations, in the order of the "
        "catalog.",
        LABEL_CONFLICTS,
    ),
    "Diff: tracks.parquet": (
        "Written by `diff TABLE A B`. One row per track that differs between snapshots A and B, bucket by bucket, "
        "sorted by `track_id` inside a bucket.",
        DIFF_TRACKS,
    ),
    "Diff: tags.parquet": (
        "Written by `diff TABLE A B`. One row per tag of snapshot A or B, sorted by `category`, `tag`.",
        DIFF_TAGS,
    ),
    "Evaluation: tags.parquet": (
        "Written by `evaluate`. One row per model, slice, tag and metric.",
        TAG_METRICS,
    ),
}
"""Heading -> text about a file other than the tables, and its schema."""

INTRODUCTION = f"""# Tables

Generated from the schemas by `python -m pipelines.docs.tables`; schema version {SCHEMA_VERSION}.

A snapshot is one complete, immutable version of the seven tables below. Its file list is
`snapshots/<number>.json` under the root of the tables. Readers take the files from that list
(`catalog-tagger sql TABLE --engine ...` prints statements that do), never from a folder listing,
because folders also contain other versions. A bucket is a hash of `track_id`. Each bucket has a
base file of each table except `taxonomy`, possibly files with newer rows, and at most one delete
file ([levels](../operations.md#levels)). A file of `artist_tags` and `album_tags` contains artists and
albums by the hash of their id; a bucket without any has no file.

Files are Parquet: zstd, page checksums, page index, nested types with `list.element` names. The
key-value metadata contains `schema_version`, `feature_id`, `embedding_id`, `tagger_id`,
`taxonomy_id` and `run_id`. `track_tags` has a bloom filter on `track_id`. A missing value is null,
never NaN."""


def type_text(type_: pa.DataType) -> str:
    """The usual name of an Arrow type.

    >>> type_text(pa.list_(pa.struct([("tag", pa.string()), ("score", pa.float32())])))
    'list<struct<tag: string, score: float32>>'
    """
    if pa.types.is_list(type_):
        return f"list<{type_text(type_.value_type)}>"
    if pa.types.is_struct(type_):
        return f"struct<{', '.join(f'{field.name}: {type_text(field.type)}' for field in type_)}>"
    return {"float": "float32", "double": "float64"}.get(str(type_), str(type_))


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _columns(schema: pa.Schema) -> Iterator[str]:
    yield "| column | type | null | meaning |"
    yield "|---|---|---|---|"
    for field in schema:
        sentence = (field.metadata or {}).get(b"description", b"").decode()
        yield f"| `{field.name}` | `{type_text(field.type)}` | {'yes' if field.nullable else 'no'} | {sentence} |"


def _table(name: str, schema: pa.Schema) -> Iterator[str]:
    order = ", ".join(f"`{key}`{' descending' if way == 'descending' else ''}" for key, way in SORTED_BY[name])
    yield f"\n## {name}\n\n{_wrapped(f'{ROW_SENTENCES[name]} Rows are sorted by {order} inside a file.')}\n"
    yield from _columns(schema)


def _reasons() -> Iterator[str]:
    yield "\n## Reasons\n\nWhy a track is `rejected`: the values of `ledger.reason`.\n"
    yield _wrapped(
        "A rejected track is remembered. It is read again if its source, the feature spec or the extractor version "
        "changes. A release that reads more formats does not change the extractor version: run `tag` once with "
        "`--retry-rejects`. Tracks with a reason that is marked below are read again in every run."
    )
    yield "\n| reason | found in stage | again in every run | meaning |"
    yield "|---|---|---|---|"
    for reason, error in REASONS.items():
        yield f"| `{reason}` | {error.stage} | {'yes' if error.due_again else 'no'} | {error.sentence} |"


def _file(heading: str, text: str, schema: pa.Schema) -> Iterator[str]:
    yield f"\n## {heading}\n\n{_wrapped(text)}\n"
    yield from _columns(schema)


def dictionary() -> Iterator[str]:
    """The lines of docs/reference/tables.md."""
    yield INTRODUCTION
    for name, schema in TABLES.items():
        yield from _table(name, pa.schema([*schema, *FUSED_COLUMNS.get(name, ())]))
    for kind, schema in DELETES.items():
        text = f"Delete files: one row per {DELETED_BY[kind][0]}. Rows are sorted by it. At most one file a bucket."
        yield from _file(kind, text, schema)
    yield from _reasons()
    for heading, (text, schema) in OTHER_FILES.items():
        yield from _file(heading, text, schema)


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in dictionary())
