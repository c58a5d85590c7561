"""Read-only DuckDB views of a snapshot: only files of its file list can be opened, and nothing can be written.

DuckDB reads the files through a file system of this project (`snapshot://...`), which is served by `storage`. Local and
`gs://` tables are therefore read in the same way, by DuckDB's own Parquet reader with its statistics, bloom filters and
column pruning.
"""

import contextlib
import datetime
import functools
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from transforms.schemas.tables import TABLES
from transforms.storage.scratch import open_scratch
from transforms.table.macros.unpublished import FUNCTIONS
from transforms.table.mixture import EVERY
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.shared_file import SharedFile
from transforms.table.snapshots import DataFile
from transforms.table.sql import TAG_IDS, macros_of_views, quoted, views_of_tables

if TYPE_CHECKING:
    import duckdb

PROTOCOL = "snapshot"


class NotReadOnly(ValueError):
    """The SQL is not exactly one query: it changes something, or has several statements or none."""


def snapshot_file_name(snapshot: SnapshotReader | None, file: DataFile) -> str:
    """DuckDB's name of a file of a snapshot."""
    assert snapshot is not None
    return f"{PROTOCOL}://{snapshot.manifest.number}/{file.path}"


def _files(snapshot: SnapshotReader) -> dict[str, tuple[SnapshotReader, DataFile]]:
    """DuckDB's name of each of a snapshot's files -> (snapshot, file)."""
    return {snapshot_file_name(snapshot, file): (snapshot, file) for file in snapshot.manifest.run.files}


def _file_system(files: dict[str, tuple[SnapshotReader, DataFile]]) -> Any:
    """An fsspec file system that contains exactly these files and opens them only for reading."""
    from fsspec import AbstractFileSystem

    # fsspec has no stubs: its classes are Any.
    class SnapshotFiles(AbstractFileSystem):  # type: ignore[misc]
        """The files of the snapshots, under the names that `_files` returns."""

        protocol = PROTOCOL
        cachable = False

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return path

        def _open(self, path: str, mode: str = "rb", **_: Any) -> SharedFile:
            if mode != "rb":
                raise PermissionError(f"{path}: published files are never written")
            snapshot, file = files[path]
            # DuckDB does not verify page checksums: this reader verifies the blocks that it reads.
            return SharedFile(snapshot.open(file))

        def info(self, path: str, **_: Any) -> dict[str, Any]:
            if path not in files:
                raise FileNotFoundError(path)
            return {"name": path, "size": files[path][1].bytes, "type": "file"}

        def glob(self, path: str, **_: Any) -> list[str]:
            # Names are taken literally: a folder of the table may be called `[live]`.
            return [path] if path in files else []

        def exists(self, path: str, **_: Any) -> bool:
            return path in files

        def modified(self, path: str) -> datetime.datetime:
            return datetime.datetime.fromtimestamp(0, datetime.UTC)

    return SnapshotFiles()


def _views(snapshot: SnapshotReader | None, prefix: str, has_macros: bool) -> Iterator[str]:
    yield from views_of_tables(snapshot, functools.partial(snapshot_file_name, snapshot), prefix)
    if has_macros:
        yield from macros_of_views(snapshot, prefix)


def other_snapshots(sql: str) -> tuple[bool, list[int]]:
    """Whether a query names a table of the snapshot before, and the numbers of the snapshots whose tables it names.

    >>> other_snapshots("SELECT 'snapshot_9_tracks' FROM Snapshot_3_tracks JOIN snapshot_12_ledger USING (track_id)")
    (False, [3, 12])
    """
    names = without_texts(sql).lower()
    views = "|".join([*TABLES, TAG_IDS, EVERY, *FUNCTIONS, r"embeddings_\w+"])
    numbers = re.findall(rf"\bsnapshot_([1-9][0-9]*)_(?:{views})\b", names)
    return "previous_" in names, sorted(set(map(int, numbers)))


def calls_macro(sql: str) -> bool:
    """Whether a query names a macro.

    >>> [calls_macro(sql) for sql in ("FROM has_tag('mood/calm')", "SELECT 'has_tag'")]
    [True, False]
    """
    names = without_texts(sql).lower()
    return any(name in names for name in FUNCTIONS)


def without_texts(sql: str) -> str:
    """SQL with a space in place of each text and each comment."""
    return re.sub(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", " ", sql, flags=re.DOTALL)


@contextlib.contextmanager
def connect(
    snapshot: SnapshotReader,
    *,
    previous: bool = False,
    numbers: Iterable[int] = (),
    macros: bool = False,
    memory_bytes: int | None = None,
    is_reused: bool = False,
) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A DuckDB connection with one view per table of the snapshot, locked down.

    What does not fit in memory is spilled to a temporary folder, which is new, empty and removed at the end.

    Args:
      previous: also create `previous_<table>` views of the parent snapshot; without a parent they are empty.
      numbers: also create `snapshot_<number>_<table>` views of these snapshots of the same table.
      macros: also create the macros over these views, which opens a file of each table.
      memory_bytes: most memory of all queries of the connection together; by default 80 % of the machine's.
      is_reused: keep the structure of Parquet files for the next query. Published files never change.

    Raises:
      ModuleNotFoundError: DuckDB is not installed.
      TableError: there is no such snapshot, or `previous` is set and the parent snapshot was removed.
      duckdb.Error: a file of the snapshot cannot be read.
    """
    import duckdb

    opened: dict[str, SnapshotReader | None] = {"": snapshot}
    if previous:
        opened["previous_"] = snapshot.previous()
    opened |= {f"snapshot_{number}_": open_snapshot(snapshot.root, number) for number in numbers}
    files = {name: file for reader in opened.values() if reader for name, file in _files(reader).items()}
    statements = [view for prefix, reader in opened.items() for view in _views(reader, prefix, macros)]
    with open_scratch() as scratch, duckdb.connect(":memory:") as connection:
        connection.register_filesystem(_file_system(files))
        try:
            for statement in [*statements, *_locks(files, scratch.folder, memory_bytes, is_reused)]:
                connection.execute(statement)
            yield connection
        finally:
            connection.unregister_filesystem(PROTOCOL)


def _locks(files: Iterable[str], scratch: str, memory_bytes: int | None, is_reused: bool) -> list[str]:
    """Statements after which the connection opens only these files, and its own temporary ones."""
    return [
        *([] if memory_bytes is None else [f"SET memory_limit = '{memory_bytes}B'"]),
        *(["SET parquet_metadata_cache = true"] if is_reused else []),
        # DuckDB may read this folder: its default is `.tmp` in the working folder, which others may have filled.
        f"SET temp_directory = {quoted(scratch)}",
        "SET python_enable_replacements = false",
        "SET TimeZone = 'UTC'",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        f"SET allowed_paths = [{', '.join(quoted(name) for name in files)}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ]


def view_names(connection: "duckdb.DuckDBPyConnection") -> list[str]:
    """Names of the views of a connection, DuckDB's own ones excepted."""
    return [row[0] for row in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()]


_EXPLAIN = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*EXPLAIN\s*(?:\(\s*(?:ANALYZE|FORMAT)\b[^)]*\)|\bANALYZE\b)?",
    re.IGNORECASE | re.DOTALL,
)


def check_question(connection: "duckdb.DuckDBPyConnection", sql: str) -> None:
    """Refuses SQL that is not exactly one SELECT (also WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW, PIVOT ... IN).

    EXPLAIN of such a query is one, too.

    Raises:
      NotReadOnly: it is another statement, or not one statement.
      duckdb.ParserException: it is not valid SQL.
    """
    import duckdb

    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise NotReadOnly(f"{len(statements)} statements: give one query at a time")
    kind = statements[0].type
    if kind == duckdb.StatementType.MULTI:
        raise NotReadOnly(
            "PIVOT without a list: name the columns, as in PIVOT ... ON tag IN ('mood/calm', 'mood/dark')"
        )
    if kind == duckdb.StatementType.EXPLAIN and (begin := _EXPLAIN.match(statements[0].query)):
        return check_question(connection, statements[0].query[begin.end() :])
    if kind != duckdb.StatementType.SELECT:
        raise NotReadOnly(f"{kind.name} statement: published tables are read-only, use SELECT")
