"""Statements that open a snapshot's tables in other engines, always from the snapshot's own file list."""

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from transforms import storage
from transforms.schemas.tables import DELETES, DELETES_OF, KEYS, LATER_COLUMNS, TABLES
from transforms.table.macros.bigquery_functions import bigquery_functions
from transforms.table.macros.duckdb_macros import duckdb_macros
from transforms.table.macros.spark_functions import spark_functions
from transforms.table.macros.unpublished import Unpublished
from transforms.table.mixture import EVERY, embedding_view, is_mixed_table, refusal_text, split_views
from transforms.table.plain_lists import live_list, manifest_path
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
    name: str,
    snapshot: SnapshotReader | None,
    name_of: Callable[[DataFile], str],
    *,
    view: str | None = None,
    prefix: str = "",
    relative: bool = False,
) -> str:
    """The statement that creates the view of one table, with exactly the live rows.

    Without files, it is empty and has the same columns. Columns that files of earlier versions lack are null.

    Args:
      name: the table.
      snapshot: where it is; None: nowhere.
      name_of: name by which DuckDB opens a file.
      view: the view's name; None: that of the table.
      prefix: begins the name of the view.
      relative: whether these names are relative to the root of the table, which `ROOT_VARIABLE` can name.
    """
    begin, key = f"CREATE OR REPLACE VIEW {prefix}{view or name} AS ", KEYS.get(name)
    files = snapshot.live_files(name) if snapshot else []
    selects = []
    for before, own in _levels(files):
        rows = f"SELECT * FROM {_read_parquet(map(name_of, own), relative)}"
        if before is not None:
            rows += f" AS own ANTI JOIN (SELECT {key} FROM deleted WHERE {name} > {before}) AS gone USING ({key})"
        selects.append(rows)
    later = LATER_COLUMNS.get(name, frozenset())
    if lacking := [field for field in TABLES[name] if not files or field.name in later]:
        columns = ", ".join(f"NULL::{duckdb_type(field.type)} AS {field.name}" for field in lacking)
        selects.append(f"SELECT {columns} WHERE false")
    if snapshot is not None and any(file.has_deletes for file in files):
        deletes = _read_parquet(map(name_of, snapshot.manifest.delete_files(name)), relative)
        begin += f"WITH deleted AS MATERIALIZED (SELECT {key}, {name} FROM {deletes})\n"
    return begin + "\nUNION ALL BY NAME ".join(selects) + ";"


def _read_parquet(names: Iterable[str], relative: bool) -> str:
    """DuckDB's function that reads files."""
    listed = "[\n  " + ",\n  ".join(map(quoted, names)) + "\n]"
    listed = f"[{_UNDER_ROOT} for file in {listed}]" if relative else listed
    # By default DuckDB would add columns for the folders `run=...` and `bucket=...`.
    return f"read_parquet({listed}, hive_partitioning = false)"


def _levels(files: Iterable[DataFile]) -> list[tuple[int | None, list[DataFile]]]:
    """Files that are read together: those whose rows are all live (None), and those of each order with dead rows."""
    levels: dict[int | None, list[DataFile]] = {}
    for file in files:
        levels.setdefault(file.order if file.has_deletes else None, []).append(file)
    return sorted(levels.items(), key=lambda level: -1 if level[0] is None else level[0])


def views_of_tables(
    snapshot: SnapshotReader | None, name_of: Callable[[DataFile], str], prefix: str = "", *, relative: bool = False
) -> Iterator[str]:
    """The statements that create the views of all tables, see `duckdb_view`."""
    for name in TABLES:
        if snapshot is not None and is_mixed_table(name, snapshot.manifest.run):
            yield duckdb_view(name, snapshot, name_of, view=EVERY, prefix=prefix, relative=relative)
            yield from split_views(snapshot.manifest.run, prefix)
        else:
            yield duckdb_view(name, snapshot, name_of, prefix=prefix, relative=relative)
    yield tag_ids_view(prefix)


def macros_of_views(snapshot: SnapshotReader | None, prefix: str = "") -> Iterator[str]:
    """The statements that create DuckDB's macros over these views. DuckDB opens the views when it creates them."""
    yield from duckdb_macros(prefix, _unpublished(snapshot))


def _unpublished(snapshot: SnapshotReader | None) -> Unpublished:
    return Unpublished() if snapshot is None else Unpublished.of(snapshot.manifest.run.options)


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
    text = f"{comment} Snapshot {manifest.number} of {snapshot.root}, content hash {manifest.run.content_hash}"
    if not manifest.run.has_levels:
        return text
    path = manifest_path(manifest.number, "tracks")
    return (
        f"{text}\n{comment} It has levels: newer rows are in files of their own. What follows has all rows of the "
        f"snapshot. The lists beside {path} alone are older: base files of snapshot {snapshot.compacted} or later"
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
    lines += views_of_tables(snapshot, lambda file: _in_brackets(snapshot.url(file)), prefix)
    lines += macros_of_views(snapshot, prefix)
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
    lines += views_of_tables(snapshot, lambda file: file.path, relative=True)
    lines += macros_of_views(snapshot)
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
    run, number = snapshot.manifest.run, snapshot.manifest.number

    def listed(name: str) -> str:
        return storage.join(snapshot.root, manifest_path(number, name))

    for kind in DELETES:
        if snapshot.manifest.files(kind):
            lines.append(_external_table(prefix + kind, listed(kind)))
    for name in TABLES:
        files, shown = snapshot.live_files(name), EVERY if is_mixed_table(name, run) else name
        if shown == EVERY:
            lines.append(f"-- {refusal_text(run, prefix)}".partition(": use ")[0] + ": add WHERE embedding_id = '...'")
            lines.append(f"DROP EXTERNAL TABLE IF EXISTS {prefix}{name};")
        if not files:
            lines.append(f"-- {name} has no files in this snapshot")
        elif any(file.merged for file in files):
            lines.append(_external_table(prefix + live_list(name), listed(live_list(name))))
            lines.append(_bigquery_view(name, files, prefix, shown))
        else:
            lines.append(_external_table(prefix + shown, listed(name)))
    has = frozenset(name for name in TABLES if snapshot.live_files(name))
    lines += bigquery_functions(prefix, _unpublished(snapshot), has)
    return "\n".join(lines) + "\n"


def _bigquery_view(name: str, files: Iterable[DataFile], prefix: str, shown: str) -> str:
    """The view `shown` of the live rows of a table with levels. The run in a file's path gives its order."""
    own = f"SELECT own.* FROM {prefix}{live_list(name)} AS own"
    view = f"CREATE OR REPLACE VIEW {prefix}{shown} AS"
    if not any(file.has_deletes for file in files):
        return f"{view}\n{own};"
    kind = DELETES_OF[name]
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
            lines.append(_spark_rows(name, snapshot, files) + _spark_views(snapshot.manifest.run, prefix, name))
        else:
            lines.append(f"# {name} has no files in this snapshot")
    has_neighbours = bool(snapshot.live_files("neighbours"))
    return "\n".join(lines) + spark_functions(prefix, _unpublished(snapshot), has_neighbours=has_neighbours)


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


def _spark_rows(name: str, snapshot: SnapshotReader, files: Iterable[DataFile]) -> str:
    """The live rows of a table."""
    parts = []
    for before, own in _levels(files):
        rows = _spark_read(snapshot, own)
        if before is not None:
            kind = DELETES_OF[name]
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
