"""Statements that open a snapshot's tables in other engines, always from the snapshot's own file list."""

import json
import re
import shlex
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from transforms import storage
from transforms.schemas.tables import LATER_COLUMNS, TABLES
from transforms.table.mixture import EVERY, embedding_view, is_mixed_table, refusal_text, split_views
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import DataFile, Run

ROOT_VARIABLE = "table_root"
"""DuckDB's variable with the folder of a table, for the views of `current.sql`."""

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


_UNDER_ROOT = f"regexp_replace(coalesce(getvariable('{ROOT_VARIABLE}') || '/', ''), '([*?\\[])', '[\\1]', 'g') || file"
"""A relative path of DuckDB under the folder that the variable names; without it, under the working folder."""


def duckdb_view(
    name: str, files: Sequence[str], *, view: str | None = None, prefix: str = "", relative: bool = False
) -> str:
    """The statement that creates the view of a table. Without files, it becomes an empty view with the same columns.

    Args:
      name: the table.
      view: the view's name; None: that of the table.
      files: paths of its files. Those of earlier versions may lack columns, which the view has with nulls.
      prefix: beginning of the view's name.
      relative: whether the paths are relative to the root of the table, which the variable `ROOT_VARIABLE` can name.
    """
    later = LATER_COLUMNS.get(name, frozenset())
    missing = ", ".join(
        f"NULL::{duckdb_type(field.type)} AS {field.name}" for field in TABLES[name] if not files or field.name in later
    )
    start = f"CREATE OR REPLACE VIEW {prefix}{view or name} AS SELECT"
    if not files:
        return f"{start} {missing} WHERE false;"
    listed = "[\n  " + ",\n  ".join(quoted(file) for file in files) + "\n]"
    listed = f"[{_UNDER_ROOT} for file in {listed}]" if relative else listed
    # By default DuckDB would add columns for the folders `run=...` and `bucket=...`.
    found = f"{start} * FROM read_parquet({listed}, hive_partitioning = false)"
    return f"{found} UNION ALL BY NAME SELECT {missing} WHERE false;" if later else f"{found};"


TAG_IDS = "tag_ids"
"""Name of the view that finds a tag by any of its ids."""


def tag_ids_view(prefix: str = "") -> str:
    """The statement that creates the view `tag_ids` in DuckDB: each id, also an earlier one, and the tag that has it.

    An earlier id that was split has several rows.
    """
    table = f"{prefix}taxonomy"
    return (
        f"CREATE OR REPLACE VIEW {prefix}{TAG_IDS} AS SELECT tag AS id, tag FROM {table}"
        f" UNION ALL SELECT unnest(other_ids) AS id, tag FROM {table};"
    )


def _in_brackets(path: str) -> str:
    """A path as DuckDB's glob that matches only this path."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def _header(snapshot: SnapshotReader, comment: str) -> str:
    manifest = snapshot.manifest
    return f"{comment} Snapshot {manifest.number} of {snapshot.root}, content hash {manifest.run.content_hash}"


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
    lines += _duckdb_views(snapshot, lambda file: _in_brackets(snapshot.url(file)), prefix)
    return "\n".join(lines) + "\n"


def current_statements(snapshot: SnapshotReader) -> str:
    """Statements that create DuckDB's views of a snapshot wherever the folder of its table is: `current.sql`."""
    manifest = snapshot.manifest
    lines = [
        f"-- Snapshot {manifest.number}, content hash {manifest.run.content_hash}",
        "-- Run it in the folder of the table: cd FOLDER && duckdb -init current.sql",
        f"-- Elsewhere, name the folder first: SET VARIABLE {ROOT_VARIABLE} = 'gs://bucket/folder';",
        "-- DuckDB reads gs:// with HMAC keys: INSTALL httpfs; LOAD httpfs; "
        "CREATE SECRET (TYPE gcs, KEY_ID '...', SECRET '...');",
        "-- DuckDB does not verify the checksums of Parquet pages, as far as we know. To check all bytes first: "
        f"catalog-tagger verify FOLDER --snapshot {manifest.number}",
    ]
    lines += _duckdb_views(snapshot, lambda file: file.path, relative=True)
    return "\n".join(lines) + "\n"


def _duckdb_views(
    snapshot: SnapshotReader, name_of: Callable[[DataFile], str], prefix: str = "", *, relative: bool = False
) -> Iterator[str]:
    run = snapshot.manifest.run
    for name in TABLES:
        mixed = is_mixed_table(name, run)
        files = [name_of(file) for file in snapshot.manifest.files(name)]
        yield duckdb_view(name, files, view=EVERY if mixed else None, prefix=prefix, relative=relative)
        yield from split_views(run, prefix) if mixed else ()
    yield tag_ids_view(prefix)


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
    run = snapshot.manifest.run
    for name in TABLES:
        if is_mixed_table(name, run):
            lines.append(f"-- {refusal_text(run, prefix)}".partition(": use ")[0] + ": add WHERE embedding_id = '...'")
            lines.append(f"DROP EXTERNAL TABLE IF EXISTS {prefix}{name};")
        if snapshot.files(name):
            manifest = storage.join(snapshot.root, manifest_path(snapshot.manifest.number, name))
            lines.append(_external_table(prefix + (EVERY if is_mixed_table(name, run) else name), manifest))
        else:
            lines.append(f"-- {name} has no files in this snapshot")
    return "\n".join(lines) + "\n"


def manifest_path(number: int, name: str) -> str:
    """Path of a snapshot's plain list of a table's files, relative to the table root."""
    return f"manifests/{number:010d}/{name}.txt"


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
    for name in TABLES:
        files = snapshot.files(name)
        if files:
            listed = ",\n    ".join(json.dumps(_escaped(file)) for file in files)
            lines.append(f"tables.parquet(\n    {listed},\n)" + _spark_views(snapshot.manifest.run, prefix, name))
        else:
            lines.append(f"# {name} has no files in this snapshot")
    return "\n".join(lines) + "\n"


def _spark_views(run: Run, prefix: str, name: str) -> str:
    """The calls that give a data frame its name, or its names if its rows are not comparable."""
    if not is_mixed_table(name, run):
        return f".createOrReplaceTempView({json.dumps(prefix + name)})"
    every = json.dumps(prefix + EVERY)
    lines = [f".createOrReplaceTempView({every})", f"# {refusal_text(run, prefix)}"]
    for one in run.embedding_ids:
        chosen = json.dumps(f"embedding_id = '{one}'")
        view = json.dumps(prefix + embedding_view(one))
        lines.append(f"spark.table({every}).where({chosen}).createOrReplaceTempView({view})")
    return "\n".join([*lines, f"spark.catalog.dropTempView({json.dumps(prefix + name)})"])


def _escaped(path: str) -> str:
    """A path as Hadoop's pattern that matches only this path."""
    return re.sub(r"[{}\[\]*?\\]", r"\\\g<0>", path)


SQL_ENGINES: dict[str, Callable[[SnapshotReader, str], str]] = {
    "duckdb": duckdb_statements,
    "bigquery": bigquery_statements,
    "spark": spark_statements,
}
"""Engine name -> function of a snapshot and the beginning of its views' names that returns the statements."""
