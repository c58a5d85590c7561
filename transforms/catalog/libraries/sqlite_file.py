"""Reads tables of an SQLite file of any origin. The file is never changed, and nothing that it defines is executed."""

import contextlib
import itertools
import os
import shutil
import sqlite3
import tempfile
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transforms import storage
from transforms.catalog.limits import MOST_COLUMNS, ROW_BYTES

_MAGIC = b"SQLite format 3\0"
_SIDE_FILES = ("-wal", "-journal")
"""Files with changes that are not yet in the database, or that have to be taken back."""
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""Begins a rollback journal. At its end, it follows the name of a second file (sqlite.org, "Database File Format")."""
_STEPS = 100_000
"""Steps of SQLite's machine between two looks at the clock of a query."""
_MOST_LOOKS = 500
"""Most looks without a row: a damaged index may lead in circles."""
_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE)


class SqliteTables:
    """The tables of an open file.

    Args:
      connection: the connection, see `open_sqlite`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._looks = 0
        connection.set_progress_handler(self._look, _STEPS)

    def _look(self) -> int:
        self._looks += 1
        return self._looks > _MOST_LOOKS

    def columns(self, table: str) -> list[str]:
        """Names of the stored columns of a table; none if there is no such table. Views and virtual tables are none."""
        self._looks = 0
        stored = "SELECT count(*) FROM sqlite_master WHERE name = ? AND type = 'table' AND rootpage > 0"
        if self._connection.execute(stored, (table,)).fetchone() != (1,):
            return []
        rows = self._connection.execute(f"PRAGMA table_xinfo({_quoted(table)})").fetchmany(MOST_COLUMNS)
        return [row[1].decode() for row in rows if row[6] == 0]  # others are computed by what the file defines

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yields the rows of a table. Texts are bytes, because they may be no UTF-8."""
        self._looks = 0
        names = ", ".join(map(_quoted, columns))
        self._connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else 1)
        try:
            for row in self._connection.execute(f"SELECT {names} FROM {_quoted(table)}"):
                self._looks = 0
                yield row
        finally:
            self._connection.set_authorizer(None)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextlib.contextmanager
def open_sqlite(url: str, what: str) -> Iterator[SqliteTables]:
    """Opens a file for reading.

    A file with changes beside it (a program has it open, or was killed) is copied with them, and the copy is read.

    Args:
      url: URL of the file.
      what: name of the kind of file, for messages.

    Raises:
      ValueError: it is no SQLite file, is damaged, or exceeds a limit.
    """
    with storage.open_input(url) as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise ValueError(f"{url}: this is not {what}: it is no SQLite file")
    side = [url + end for end in _SIDE_FILES if storage.exists(url + end)]
    with contextlib.ExitStack() as held:
        if side or "://" in url:
            _refuse_other_files(url, side)
            path = _copy(url, side, held.enter_context(tempfile.TemporaryDirectory(prefix="catalog-tagger-sqlite-")))
            place = f"{_uri(path)}?mode=rw"
        else:
            place = f"{_uri(os.path.abspath(url))}?mode=ro&immutable=1"  # noqa: PTH100 - links stay as they are
        try:
            connection = held.enter_context(contextlib.closing(sqlite3.connect(place, uri=True)))
            _restrict(connection)
            yield SqliteTables(connection)
        except (sqlite3.Error, UnicodeDecodeError, OverflowError) as e:
            raise ValueError(f"{url}: {what} that cannot be read ({e}): make another copy of it") from e


def _restrict(connection: sqlite3.Connection) -> None:
    connection.text_factory = bytes
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, ROW_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    for setting in ("query_only = ON", "trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0"):
        connection.execute(f"PRAGMA {setting}")


def _refuse_other_files(url: str, side: Sequence[str]) -> None:
    """Refuses a journal that names another file: SQLite would read that file and delete it, wherever it is."""
    for name in side:
        with storage.open_input(name) as stream:
            stream.seek(max(stream.seek(0, os.SEEK_END) - len(_JOURNAL_MAGIC), 0))
            if stream.read() == _JOURNAL_MAGIC:
                raise ValueError(f"{url}: the journal beside it belongs to several databases: open it in its program")


def _uri(path: str) -> str:
    return f"file:{urllib.parse.quote(path)}"


def _copy(url: str, side: Sequence[str], folder: str) -> str:
    """Copies the file and what is beside it; returns the path of the copy."""
    target = Path(folder, "library.db")
    for source, end in itertools.chain([(url, "")], ((name, name[len(url) :]) for name in side)):
        with storage.open_input(source) as stream, Path(f"{target}{end}").open("wb") as copy:
            shutil.copyfileobj(stream, copy)
    return os.fspath(target)
