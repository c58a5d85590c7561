"""The snapshots that the service has open. A request has one of them from its beginning to its end."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from pipelines.querying.failures import named_failures
from pipelines.querying.time_limit import TimeLimit
from pipelines.serving.cache import ByteCache
from pipelines.serving.problems import Declined
from pipelines.serving.rows import KeptReader, bucket_reader
from pipelines.serving.settings import ServiceSettings
from pipelines.terminal.errors import CommandFailed
from pipelines.terminal.printing import plain_rows
from transforms.storage import redact
from transforms.table.duckdb_views import connect, snapshot_file_name
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.snapshots import listed_numbers
from transforms.table.sql import duckdb_view
from transforms.table.versions import TableError

_log = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 60.0

MOST_OPEN = 3
"""Snapshots that stay open: the newest, and those on whose pages clients may still be."""

LISTED_VALUES = "listed_values"
"""Name of the relation of a query whose rows are an Arrow array among its parameters."""

_BATCH_ROWS = 1000

JsonRow = dict[str, Any]
_Kept = TypeVar("_Kept")


class OpenSnapshot:
    """One snapshot with its connection to DuckDB. Safe to share between threads: each query has its own cursor."""

    def __init__(self, reader: SnapshotReader, settings: ServiceSettings, cache: ByteCache) -> None:
        self.reader = KeptReader.of(reader, cache)
        self._settings = settings
        self._opened = contextlib.ExitStack()
        with named_failures():
            own = connect(reader, memory_bytes=settings.memory_bytes, is_reused=True)
            self._connection = self._opened.enter_context(own)
        self._views: set[str] = set()
        self._kept: dict[str, Any] = {}
        self._lock = threading.Lock()
        self.leases = 0
        self.used = 0.0
        self.columns = {field.name: field.type for field in reader.schema("tracks")}
        """Columns of `tracks` with their Arrow types."""

    @property
    def number(self) -> int:
        """Number of the snapshot."""
        return self.reader.manifest.number

    @property
    def content_hash(self) -> str:
        """Content hash of the snapshot."""
        return self.reader.manifest.run.content_hash

    @property
    def query_s(self) -> float:
        """Most seconds of a query."""
        return self._settings.query_s

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[JsonRow]:
        """Rows of a query. Values reach it as parameters only.

        Args:
          sql: one query.
          parameters: values in their order. An Arrow array, at most one, has no place among them: its values are the
            rows of the relation `LISTED_VALUES`.

        Raises:
          Problem: the query reached a limit on time or memory, or the table cannot be read.
        """
        return self._answered(sql, parameters, _json_rows)

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """What a query answers, for many rows. See `fetch`."""
        return self._answered(sql, parameters, lambda reader: reader.read_all())

    def _answered(self, sql: str, parameters: Sequence[Any], read: Callable[[pa.RecordBatchReader], _Kept]) -> _Kept:
        listed = [one for one in parameters if isinstance(one, pa.ChunkedArray)]
        plain = [one for one in parameters if not isinstance(one, pa.ChunkedArray)]
        cursor = self._connection.cursor()
        limit = TimeLimit(self._settings.query_s, cursor.interrupt, _log.error)
        try:
            with named_failures(), limit.running():
                for values in listed:
                    cursor.register(LISTED_VALUES, pa.table({"value": values}))
                return read(cursor.sql(sql, params=plain).to_arrow_reader(_BATCH_ROWS))
        except CommandFailed as error:
            raise _refused(str(error), self._settings) from error
        finally:
            cursor.close()

    def bucket_view(self, name: str, bucket: int) -> str:
        """The name of a view of one table with the rows of one bucket: a query on it opens no other file."""
        view = f"{name}_of_bucket_{bucket}"
        with self._lock:
            if view not in self._views:
                own = bucket_reader(self.reader, name, bucket)
                with self._connection.cursor() as cursor:
                    cursor.execute(duckdb_view(name, own, lambda file: snapshot_file_name(own, file), view=view))
                self._views.add(view)
        return view

    def kept(self, name: str, make: Callable[[], _Kept]) -> _Kept:
        """What `make` returned first for this name. Two threads that miss it at the same time both call it."""
        if name not in self._kept:
            made = make()
            with self._lock:
                self._kept.setdefault(name, made)
        found: _Kept = self._kept[name]
        return found

    def close(self) -> None:
        """Closes the connection; nobody may use it any more."""
        self._opened.close()


def _json_rows(reader: pa.RecordBatchReader) -> list[JsonRow]:
    names = reader.schema.names
    return [dict(zip(names, row, strict=True)) for row in plain_rows(reader, reader.schema)]


def _refused(message: str, settings: ServiceSettings) -> Declined:
    if "interrupted" in message or "Interrupted" in message:
        detail = f"the query was cancelled after {settings.query_s:g} s: ask for less, for example with more filters"
        return Declined("query-limit", detail)
    if message.startswith("Out of Memory"):
        return Declined("query-limit", "the query needs more memory than it may have: ask for less, or try again later")
    _log.warning("query failed: %s", redact(message))
    return Declined("table-unavailable", "the table cannot be read now: try again later")


Prepare = Callable[[OpenSnapshot, Callable[[], None]], None]
"""Reads what requests will need of a snapshot. It calls its second argument again and again, which raises
`PreparationStopped` if the service ends."""


class PreparationStopped(Exception):
    """The service ends while a snapshot is prepared."""


class PoolState(NamedTuple):
    """What a service says of its snapshots.

    Attributes:
      newest: the snapshot that requests get.
      is_prepared: whether it was prepared.
      preparing: the snapshot that is being prepared; 0: none.
      seconds: how long the last preparation took.
      fault: why the last look for a newer snapshot, or its preparation, failed; None if it did not.
      kept_bytes: bytes of all that the cache keeps.
    """

    newest: int
    is_prepared: bool
    preparing: int
    seconds: float
    fault: str | None
    kept_bytes: int


class SnapshotPool:
    """Opens the newest snapshot, follows the table, and keeps earlier snapshots open for a while.

    A newer snapshot is prepared before requests get it. Until then, and if that fails, they get the one before.
    """

    def __init__(self, settings: ServiceSettings, prepare: Prepare = lambda opened, check: None) -> None:
        self._settings, self._prepare = settings, prepare
        self._cache = ByteCache(settings.cache_bytes)
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._stop = threading.Event()
        self._follower: threading.Thread | None = None
        self._open: dict[int, OpenSnapshot] = {}
        self._prepared, self._preparing, self._seconds = 0, 0, 0.0
        self._fault: str | None = None
        self._pause_s, self._part_begun = settings.refresh_s, 0.0
        self._newest = self._add(open_snapshot(settings.table))

    @property
    def newest(self) -> int:
        """Number of the snapshot that requests get."""
        return self._newest

    @property
    def state(self) -> PoolState:
        """What is served, and what is being done."""
        is_prepared = self._prepared == self._newest
        return PoolState(self._newest, is_prepared, self._preparing, self._seconds, self._fault, self._cache.size)

    def start(self) -> None:
        """Follows the table from now on: in a thread, or before each request if `refresh_s` is 0."""
        if self._settings.refresh_s:
            self._follower = threading.Thread(target=self._follow, name="snapshots", daemon=True)
            self._follower.start()
        else:
            self.refresh()

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.refresh()
            self._stop.wait(self._pause_s)

    def refresh(self) -> None:
        """Prepares and serves a newer snapshot if there is one. If that fails, the service keeps what it has; the next
        looks come later each time, up to a minute.
        """
        with self._refreshing:
            try:
                numbers = listed_numbers(self._settings.table)
                wanted = numbers[-1] if numbers else self._newest
                if wanted != self._prepared:
                    self._serve(wanted)
                self._fault, self._pause_s = None, self._settings.refresh_s
            except PreparationStopped:
                return
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a snapshot, the one before is served
                self._fault = redact(str(error)) or type(error).__name__
                self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
                _log.warning("snapshot %d is served, no newer one: %s", self._newest, self._fault)

    def _serve(self, number: int) -> None:
        """Prepares a snapshot, which requests get from then on."""
        begun = self._part_begun = time.monotonic()
        self._preparing = number
        try:
            with self.lease(number) as opened:
                self._prepare(opened, self._rest)
                self._newest = self._prepared = number
        finally:
            self._preparing = 0
        self._seconds = time.monotonic() - begun

    def _rest(self) -> None:
        """Between two parts of a preparation: waits as long as the last one took, if requests get another snapshot
        meanwhile.

        Raises:
          PreparationStopped: the service ends.
        """
        worked_s = time.monotonic() - self._part_begun
        if self._stop.wait(worked_s if self._prepared else 0.0):
            raise PreparationStopped
        self._part_begun = time.monotonic()

    @contextlib.contextmanager
    def lease(self, number: int | None = None) -> Iterator[OpenSnapshot]:
        """A snapshot that stays open during the block, the newest by default.

        Raises:
          Problem: there is no such snapshot any more.
        """
        found = self._acquire(number)
        try:
            yield found
        finally:
            with self._lock:
                found.leases -= 1
            self._close_spare()

    def _acquire(self, number: int | None) -> OpenSnapshot:
        with self._lock:
            if (found := self._open.get(self._newest if number is None else number)) is not None:
                found.leases += 1
                found.used = time.monotonic()
                return found
        assert number is not None
        try:
            self._add(open_snapshot(self._settings.table, number))
        except TableError as error:
            raise Declined("snapshot-gone", f"snapshot {number} was removed: start again without the cursor") from error
        except CommandFailed as error:
            raise _refused(str(error), self._settings) from error
        return self._acquire(number)

    def _add(self, reader: SnapshotReader) -> int:
        opened, number = OpenSnapshot(reader, self._settings, self._cache), reader.manifest.number
        opened.used = time.monotonic()
        with self._lock:
            kept = self._open.setdefault(number, opened)
        if kept is not opened:  # another request was first
            opened.close()
        return number

    def _close_spare(self) -> None:
        with self._lock:
            idle = [one for n, one in self._open.items() if n != self._newest and not one.leases]
            idle.sort(key=lambda one: one.used)
            spare = idle[: max(len(self._open) - MOST_OPEN, 0)]
            for one in spare:
                del self._open[one.number]
        for one in spare:
            one.close()

    def close(self) -> None:
        """Ends following the table, and closes all snapshots."""
        self._stop.set()
        if self._follower is not None:
            self._follower.join()
        with self._lock:
            opened, self._open = list(self._open.values()), {}
        for one in opened:
            one.close()
