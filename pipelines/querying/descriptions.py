"""Answers to SHOW TABLES and DESCRIBE with the sentences of the schemas."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from transforms.schemas.fusion import declared_schema
from transforms.schemas.tables import ROW_SENTENCES, TABLES
from transforms.table.mixture import EVERY, embedding_view, is_mixed_table, refusal_text, taggers_of
from transforms.table.reader import SnapshotReader

if TYPE_CHECKING:
    import duckdb

_SHOW = re.compile(r"\s*show\s+tables\s*;?\s*", re.IGNORECASE)
_DESCRIBE = re.compile(
    rf"""\s*(?:describe|desc|show)\s+(?:table\s+)?"?(?P<view>(?:previous_|snapshot_[1-9][0-9]*_)?(?P<table>{"|".join(TABLES)}))"?\s*;?\s*""",
    re.IGNORECASE,
)

_FROM_CATALOG = "Column of the catalog."


def description(connection: "duckdb.DuckDBPyConnection", snapshot: SnapshotReader, sql: str) -> pa.Table | None:
    """The answer to SHOW TABLES, or to DESCRIBE with the name of a table; None for any other question.

    Raises:
      duckdb.Error: there is no such table.
    """
    if _SHOW.fullmatch(sql):
        return _tables(snapshot)
    found = _DESCRIBE.fullmatch(sql)
    return _columns(connection, found["view"].lower(), found["table"].lower()) if found else None


def _tables(snapshot: SnapshotReader) -> pa.Table:
    found = {name: (snapshot.manifest.rows(name), ROW_SENTENCES[name]) for name in TABLES}
    run = snapshot.manifest.run
    if is_mixed_table("embeddings", run):
        found[EVERY] = (found.pop("embeddings")[0], f"All embeddings; {refusal_text(run, '').partition(':')[0]}.")
        for ids, tracks in taggers_of(run):
            rows, _ = found.get(embedding_view(ids.embedding_id), (0, ""))
            found[embedding_view(ids.embedding_id)] = (rows + tracks, f"Embeddings of {ids.embedding_id}.")
    counts, sentences = zip(*found.values(), strict=True)
    return pa.table({"table": list(found), "rows": counts, "description": sentences})


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
    schema = declared_schema(name, [column])
    return "no" if column in schema.names and not schema.field(column).nullable else "yes"


def column_sentences(name: str, columns: Sequence[str]) -> list[str]:
    """The sentence about each of a table's columns; `tracks` has further columns from the catalog."""
    schema = declared_schema(name, columns)
    return [
        (schema.field(column).metadata or {}).get(b"description", b"").decode()
        if column in schema.names
        else _FROM_CATALOG
        for column in columns
    ]
