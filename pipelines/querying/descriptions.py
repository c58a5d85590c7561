"""Answers to SHOW TABLES and DESCRIBE with the sentences of the schemas."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from transforms.schemas.fusion import declared_schema
from transforms.schemas.tables import ROW_SENTENCES, TABLES
from transforms.table.mixture import EVERY, embedding_view, is_mixed_table, refusal_text, taggers_of
from transforms.table.reader import SnapshotReader
from transforms.table.sql import TAG_IDS

if TYPE_CHECKING:
    import duckdb

_SHOW = re.compile(r"\s*show\s+tables\s*;?\s*", re.IGNORECASE)
_DESCRIBE = re.compile(
    r"""\s*(?:describe|desc|show)\s+(?:table\s+)?"?(?P<view>(?:previous_|snapshot_[1-9][0-9]*_)?"""
    rf"""(?P<table>{"|".join([*TABLES, TAG_IDS, EVERY])}|embeddings_\w+))"?\s*;?\s*""",
    re.IGNORECASE,
)

_FROM_CATALOG = "Column of the catalog."


def description(connection: "duckdb.DuckDBPyConnection", snapshot: SnapshotReader, sql: str) -> pa.Table | None:
    """The answer to SHOW TABLES, or to DESCRIBE with the name of a table; None for any other question.

    Raises:
      duckdb.Error: there is no such table.
    """
    if _SHOW.fullmatch(sql):
        return _tables(connection, snapshot)
    found = _DESCRIBE.fullmatch(sql)
    if not found:
        return None
    name = found["table"].lower()
    is_known = name in TABLES or name == TAG_IDS
    return _columns(connection, found["view"].lower(), name if is_known else "embeddings")


def _tables(connection: "duckdb.DuckDBPyConnection", snapshot: SnapshotReader) -> pa.Table:
    found: dict[str, tuple[int | None, str]] = {
        name: (snapshot.manifest.rows(name), ROW_SENTENCES[name]) for name in TABLES
    }
    run = snapshot.manifest.run
    if is_mixed_table("embeddings", run):
        found[EVERY] = (found.pop("embeddings")[0], f"All embeddings; {refusal_text(run, '').partition(':')[0]}.")
        for ids, tracks in taggers_of(run):
            rows, _ = found.get(embedding_view(ids.embedding_id), (0, ""))
            found[embedding_view(ids.embedding_id)] = ((rows or 0) + tracks, f"Embeddings of {ids.embedding_id}.")
    found[TAG_IDS] = (_count(connection, TAG_IDS), _TAG_IDS_ROWS)
    found |= {call: (None, sentence) for call, sentence in _CALLS.items()}
    found[_FAMILIES] = (None, _FAMILIES_SENTENCE)
    counts, sentences = zip(*found.values(), strict=True)
    return pa.table({"table": list(found), "rows": counts, "description": sentences})


_TAG_IDS_ROWS = "One row per id of a tag, earlier ids and aliases too: JOIN tag_ids USING (tag), and compare with id."
_CALLS = {
    "has_tag(TAG, SCORE)": "The tracks whose score of the tag, or of a narrower one, is at least SCORE; without it, "
    "those that are given the tag.",
    "weighted_search(MAP {TAG: WEIGHT})": "All tracks by the score of the command `search`.",
    "similar_to(TRACK_ID)": "The neighbours of a track; `catalog-tagger neighbours` finds them.",
}
_FAMILIES = "previous_..., snapshot_N_..."
_FAMILIES_SENTENCE = (
    "The same tables of the snapshot before, and of snapshot N, such as previous_tracks and snapshot_1_tracks."
)

_TAG_IDS_COLUMNS = {
    "id": "An id of a tag: its own, an alias, or an earlier id. An earlier id in several rows was split.",
    "tag": "The tag that has this id today, as in `track_tags` and `taxonomy`.",
}


def _count(connection: "duckdb.DuckDBPyConnection", view: str) -> int:
    ((count,),) = connection.execute(f"SELECT count(*) FROM {view}").fetchall()
    return int(count)


def _columns(connection: "duckdb.DuckDBPyConnection", view: str, name: str) -> pa.Table:
    found = connection.sql(f"DESCRIBE {view}").fetchall()
    return pa.table(
        {
            "column": [row[0] for row in found],
            "type": [row[1] for row in found],
            "null": [_nullable(name, row[0]) for row in found],
            "description": column_sentences(name, [row[0] for row in found]),
        }
    )


def _nullable(name: str, column: str) -> str:
    if name == TAG_IDS:
        return "no"
    schema = declared_schema(name, [column])
    return "no" if column in schema.names and not schema.field(column).nullable else "yes"


def column_sentences(name: str, columns: Sequence[str]) -> list[str]:
    """The sentence about each of a table's columns; `tracks` has further columns from the catalog."""
    if name == TAG_IDS:
        return [_TAG_IDS_COLUMNS[column] for column in columns]
    schema = declared_schema(name, columns)
    return [
        (schema.field(column).metadata or {}).get(b"description", b"").decode()
        if column in schema.names
        else _FROM_CATALOG
        for column in columns
    ]
