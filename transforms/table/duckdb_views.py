"""DuckDB over a snapshot, read-only: its own file list and nothing else can be opened, and nothing can be written.

DuckDB sees the files through a file system of this project (`snapshot://...`), served by `storage`: so local tables and
`gs://` ones are read alike, by DuckDB's own Parquet reader with its statistics, bloom filters and column pruning.
"""

import contextlib
import datetime
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from transforms import storage
from transforms.schemas.tables import TABLES
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import DataFile
from transforms.table.sql import duckdb_view, quoted

if TYPE_CHECKING:
    import duckdb

PROTOCOL = "snapshot"


class NotReadOnly(ValueError):
    """The SQL is not one question: a statement that changes something, several statements, or none."""


def _name(snapshot: SnapshotReader, file: DataFile) -> str:
    """DuckDB's name of a file of a snapshot."""
    return f"{PROTOCOL}://{snapshot.manifest.number}/{file.path}"


def _files(snapshot: SnapshotReader) -> dict[str, tuple[str, int]]:
    """DuckDB's name of each of a snapshot's files -> (url, bytes)."""
    return {_name(snapshot, file): (snapshot.url(file), file.bytes) for file in snapshot.manifest.run.files}


def _file_system(files: dict[str, tuple[str, int]]) -> Any:
    """An fsspec file system that holds exactly these files and opens them for reading only."""
    from fsspec import AbstractFileSystem

    # fsspec has no stubs: its classes are Any.
    class SnapshotFiles(AbstractFileSystem):  # type: ignore[misc]
        """The files of one or two snapshots under the names that `_files` gives them."""

        protocol = PROTOCOL
        cachable = False

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return path

        def _open(self, path: str, mode: str = "rb", **_: Any) -> BinaryIO:
            if mode != "rb":
                raise PermissionError(f"{path}: published files are never written")
            return storage.open_input(files[path][0])

        def info(self, path: str, **_: Any) -> dict[str, Any]:
            if path not in files:
                raise FileNotFoundError(path)
            return {"name": path, "size": files[path][1], "type": "file"}

        def glob(self, path: str, **_: Any) -> list[str]:
            # Names are taken literally: a folder of the table may be called `[live]`.
            return [path] if path in files else []

        def exists(self, path: str, **_: Any) -> bool:
            return path in files

        def modified(self, path: str) -> datetime.datetime:
            return datetime.datetime.fromtimestamp(0, datetime.UTC)

    return SnapshotFiles()


def _views(snapshot: SnapshotReader | None, prefix: str) -> Iterator[str]:
    for name, schema in TABLES.items():
        files = [_name(snapshot, file) for file in snapshot.manifest.files(name)] if snapshot else []
        yield duckdb_view(prefix + name, files, schema)


@contextlib.contextmanager
def connect(snapshot: SnapshotReader, *, previous: bool = False) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A DuckDB connection with one view per table of the snapshot, locked down.

    Args:
      previous: also make `previous_<table>` views of the parent snapshot; empty ones where there is no parent.

    Raises:
      ModuleNotFoundError: DuckDB is not installed.
      TableError: the parent snapshot is asked for and was removed.
      duckdb.Error: a file of the snapshot cannot be read.
    """
    import duckdb

    files = _files(snapshot)
    statements = list(_views(snapshot, ""))
    if previous:
        parent = snapshot.previous()
        files |= _files(parent) if parent else {}
        statements += _views(parent, "previous_")
    connection = duckdb.connect(":memory:")
    try:
        connection.register_filesystem(_file_system(files))
        for statement in [*statements, *_locks(files)]:
            connection.execute(statement)
        yield connection
    finally:
        connection.unregister_filesystem(PROTOCOL)
        connection.close()


def _locks(files: dict[str, tuple[str, int]]) -> list[str]:
    """Statements after which the connection opens nothing but these files."""
    return [
        "SET python_enable_replacements = false",
        "SET TimeZone = 'UTC'",
        f"SET allowed_paths = [{', '.join(quoted(name) for name in files)}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ]


def check_question(connection: "duckdb.DuckDBPyConnection", sql: str) -> None:
    """Refuses what is not exactly one SELECT (also WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW, PIVOT ... IN).

    Raises:
      NotReadOnly: it is something else.
      duckdb.ParserException: it is no SQL.
    """
    import duckdb

    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise NotReadOnly(f"{len(statements)} statements: ask one question at a time")
    kind = statements[0].type
    if kind == duckdb.StatementType.MULTI:
        raise NotReadOnly(
            "PIVOT without a list: name the columns, as in PIVOT ... ON tag IN ('mood/calm', 'mood/dark')"
        )
    if kind != duckdb.StatementType.SELECT:
        raise NotReadOnly(f"{kind.name} statement: published tables are read-only, ask with SELECT")
