"""Statements that open a snapshot's tables in other engines, always from the snapshot's own file list."""

import json
import re
import shlex
from collections.abc import Callable, Iterable

import pyarrow as pa

from transforms import storage
from transforms.schemas.tables import DELETED_BY, DELETES, KEYS, TABLES
from transforms.table.plain_lists import live_list, manifest_path
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import DataFile

DUCKDB_TYPES: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.float32(): "FLOAT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.bool_(): "BOOLEAN",
}
"""Arrow type -> DuckDB's name, for the types that occur in the tables."""


def quoted(text: str) -> str:
    """An SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def duckdb_type(type_: pa.DataType) -> str:
    """DuckDB's name of an Arrow type that occurs in a table."""
    if pa.types.is_list(type_):
        return f"{duckdb_type(type_.value_type)}[]"
    if pa.types.is_struct(type_):
        return f"STRUCT({', '.join(f'{field.name} {duckdb_type(field.type)}' for field in type_)})"
    return DUCKDB_TYPES[type_]


def duckdb_view(
    name: str, schema: pa.Schema, snapshot: SnapshotReader | None, name_of: Callable[[DataFile], str], prefix: str = ""
) -> str:
    """The statement that creates the view of one table, with exactly the live rows.

    Args:
      name: the table. Without files, its view is empty and has the columns of `schema`.
      snapshot: where it is; None: nowhere.
      name_of: name by which DuckDB opens a file.
      prefix: begins the name of the view.
    """
    begin = f"CREATE OR REPLACE VIEW {prefix}{name} AS "
    files = snapshot.live_files(name) if snapshot else []
    if snapshot is None or not files:
        columns = ", ".join(f"NULL::{duckdb_type(field.type)} AS {field.name}" for field in schema)
        return f"{begin}SELECT {columns} WHERE false;"
    selects, key = [], KEYS.get(name)
    for before, own in _levels(files):
        rows = f"SELECT * FROM {_read_parquet(map(name_of, own))}"
        if before is not None:
            rows += f" AS own ANTI JOIN (SELECT {key} FROM deleted WHERE {name} > {before}) AS gone USING ({key})"
        selects.append(rows)
    deletes = snapshot.manifest.delete_files(name)
    if any(file.has_deletes for file in files):
        begin += f"WITH deleted AS MATERIALIZED (SELECT {key}, {name} FROM {_read_parquet(map(name_of, deletes))})\n"
    return begin + "\nUNION ALL BY NAME ".join(selects) + ";"


def _read_parquet(names: Iterable[str]) -> str:
    """DuckDB's function that reads files."""
    listed = ",\n  ".join(map(quoted, names))
    # By default DuckDB would add columns for the folders `run=...` and `bucket=...`.
    return f"read_parquet([\n  {listed}\n], hive_partitioning = false)"


def _levels(files: Iterable[DataFile]) -> list[tuple[int | None, list[DataFile]]]:
    """Files that are read together: those whose rows are all live (None), and those of each order with dead rows."""
    levels: dict[int | None, list[DataFile]] = {}
    for file in files:
        levels.setdefault(file.order if file.has_deletes else None, []).append(file)
    return sorted(levels.items(), key=lambda level: -1 if level[0] is None else level[0])


def _in_brackets(path: str) -> str:
    """A path as DuckDB's glob that matches only this path."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def _header(snapshot: SnapshotReader, comment: str) -> str:
    manifest = snapshot.manifest
    text = f"{comment} Snapshot {manifest.number} of {snapshot.root}, content hash {manifest.run.content_hash}"
    if not manifest.run.has_levels:
        return text
    path = manifest_path(manifest.number, "tracks")
    return (
        f"{text}\n{comment} It has levels: newer rows are in files of their own. The lists beside {path} name the base "
        f"files: the last compacted state, of snapshot {snapshot.compacted} or later"
    )


def _check(snapshot: SnapshotReader) -> str:
    return (
        "-- This engine does not verify the checksums of Parquet pages, as far as we know. To check all bytes first: "
        f"catalog-tagger verify {shlex.quote(snapshot.root)} --snapshot {snapshot.manifest.number}"
    )


def duckdb_statements(snapshot: SnapshotReader, prefix: str = "") -> str:
    """Statements that create a view per table of a snapshot, for DuckDB; `prefix` begins the names of the views."""
    lines = [_header(snapshot, "--"), _check(snapshot)]
    if "://" in snapshot.root:
        lines.append(
            "-- DuckDB reads gs:// with HMAC keys: INSTALL httpfs; LOAD httpfs; "
            "CREATE SECRET (TYPE gcs, KEY_ID '...', SECRET '...');"
        )
    for name, schema in TABLES.items():
        lines.append(duckdb_view(name, schema, snapshot, lambda file: _in_brackets(snapshot.url(file)), prefix))
    return "\n".join(lines) + "\n"


def bigquery_statements(snapshot: SnapshotReader, prefix: str = "") -> str:
    """Statements that create external tables from a snapshot's file lists, for BigQuery.

    Raises:
      ValueError: the table is not on gs://; BigQuery cannot read files from elsewhere.
    """
    if not snapshot.root.startswith("gs://"):
        raise ValueError(
            f"{snapshot.root}: BigQuery reads external tables only from gs://; run tag with --table "
            "gs://BUCKET/FOLDER, or copy the table's folder there and give the copy"
        )
    if "*" in snapshot.root:
        raise ValueError(f"{snapshot.root}: BigQuery takes * for a pattern; copy the table to a folder without it")
    lines = [
        _header(snapshot, "--"),
        _check(snapshot),
        "-- Names have no dataset: run with a default dataset, e.g. bq query --dataset_id=catalog --nouse_legacy_sql",
    ]
    number = snapshot.manifest.number

    def listed(name: str) -> str:
        return storage.join(snapshot.root, manifest_path(number, name))

    for kind in DELETES:
        if snapshot.manifest.files(kind):
            lines.append(_external_table(prefix + kind, listed(kind)))
    for name in TABLES:
        files = snapshot.live_files(name)
        if not files:
            lines.append(f"-- {name} has no files in this snapshot")
        elif any(file.merged for file in files):
            lines.append(_external_table(prefix + live_list(name), listed(live_list(name))))
            lines.append(_bigquery_view(name, files, prefix))
        else:
            lines.append(_external_table(prefix + name, listed(name)))
    return "\n".join(lines) + "\n"


def _bigquery_view(name: str, files: Iterable[DataFile], prefix: str) -> str:
    """The live rows of a table with levels. The order of a file follows from the run in its path."""
    own = f"SELECT own.* FROM {prefix}{live_list(name)} AS own"
    view = f"CREATE OR REPLACE VIEW {prefix}{name} AS"
    if not any(file.has_deletes for file in files):
        return f"{view}\n{own};"
    kind = next(kind for kind, (_, tables) in DELETED_BY.items() if name in tables)
    orders = sorted({(file.order, file.run_id) for file in files if file.has_deletes})
    cases = " ".join(f"WHEN {quoted(run)} THEN {order}" for order, run in orders)
    highest = max(file.order for file in files)
    return f"""{view}
{own}
LEFT JOIN {prefix}{kind} AS gone ON own.{KEYS[name]} = gone.{KEYS[name]} AND gone.{name} >
  CASE REGEXP_EXTRACT(own._FILE_NAME, r'/run=([^/]+)/') {cases} ELSE {highest} END
WHERE gone.{KEYS[name]} IS NULL;"""


def _external_table(name: str, manifest: str) -> str:
    return f"""CREATE OR REPLACE EXTERNAL TABLE {name}
OPTIONS (
  format = 'PARQUET',
  uris = [{quoted(manifest)}],
  file_set_spec_type = 'NEW_LINE_DELIMITED_MANIFEST',
  enable_list_inference = true
);"""


def spark_statements(snapshot: SnapshotReader, prefix: str = "") -> str:
    """PySpark statements that create temporary views, because Spark SQL cannot name a list of files."""
    lines = [
        _header(snapshot, "#"),
        "# Run this in pyspark, or in a job that has `spark`. Dates before 1582 are in the Gregorian calendar. Spark",
        "# verifies the checksum of every page that it reads.",
        'tables = spark.read.option("datetimeRebaseMode", "CORRECTED")',
        'tables = tables.option("parquet.page.verify-checksum.enabled", "true")',
    ]
    for kind in DELETES:
        if files := snapshot.manifest.files(kind):
            lines.append(f"{kind} = {_spark_read(snapshot, files)}")
    for name in TABLES:
        if files := snapshot.live_files(name):
            lines.append(f"{_spark_rows(name, snapshot, files)}.createOrReplaceTempView({json.dumps(prefix + name)})")
        else:
            lines.append(f"# {name} has no files in this snapshot")
    return "\n".join(lines) + "\n"


def _spark_rows(name: str, snapshot: SnapshotReader, files: Iterable[DataFile]) -> str:
    """The live rows of a table."""
    parts = []
    for before, own in _levels(files):
        rows = _spark_read(snapshot, own)
        if before is not None:
            kind = next(kind for kind, (_, tables) in DELETED_BY.items() if name in tables)
            rows += f'.join({kind}.where("{name} > {before}"), "{KEYS[name]}", "left_anti")'
        parts.append(rows)
    return parts[0] + "".join(f".unionByName({rows})" for rows in parts[1:])


def _spark_read(snapshot: SnapshotReader, files: Iterable[DataFile]) -> str:
    listed = ",\n    ".join(json.dumps(_escaped(snapshot.url(file))) for file in files)
    return f"tables.parquet(\n    {listed},\n)"


def _escaped(path: str) -> str:
    """A path as Hadoop's pattern that matches only this path."""
    return re.sub(r"[{}\[\]*?\\]", r"\\\g<0>", path)


SQL_ENGINES: dict[str, Callable[[SnapshotReader, str], str]] = {
    "duckdb": duckdb_statements,
    "bigquery": bigquery_statements,
    "spark": spark_statements,
}
"""Engine name -> function of a snapshot and the beginning of its views' names that returns the statements."""
