"""The Python API for reading a table: opens one published snapshot and returns its rows as Arrow data.

    from transforms.table.reader import open_snapshot

    snapshot = open_snapshot("gs://bucket/table")  # the newest; or snapshot=3, or as_of="2026-01-31"
    tags = snapshot.scan("track_tags", ["track_id", "tag", "score"], track_ids=["track-0001", "track-0002"])
    frame = tags.to_pandas()
    for batch in snapshot.batches("embeddings", ["track_id", "embedding"]):  # more rows than fit in memory
        print(batch.num_rows)

A snapshot never changes: the same call returns the same rows, even if newer snapshots are published meanwhile.
"""

import bisect
import contextlib
import dataclasses
import datetime
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.formats.hashing import bucket_of
from transforms.formats.parquet import CheckedFile, open_parquet
from transforms.schemas.tables import DELETES_OF, KEYS, TABLES
from transforms.table.as_of import moment_of
from transforms.table.checked import open_published
from transforms.table.levels import dead_keys, deletes_of, in_order, no_deletes, total_order
from transforms.table.snapshots import DataFile, Snapshot, listed_numbers, read_snapshot
from transforms.table.versions import TableError, read_table_metadata

TRACK_ID = "track_id"
BATCH_ROWS = 65_536

EVERY_EMBEDDING = "every"
"""Given as `embedding_id`, asks for rows of all embeddings of a mixed snapshot."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class SnapshotReader:
    """One published snapshot of a table, as `open_snapshot` returns it.

    Attributes:
      root: folder or gs:// prefix of the table.
      manifest: the snapshot's record: number, time, ids, counts, and every file with its rows, bytes and SHA-256.
      buckets: number of buckets; a hash of its id assigns each track to one.
    """

    root: str
    manifest: Snapshot
    buckets: int
    _hashed: set[str] = dataclasses.field(default_factory=set, init=False, compare=False)

    def __repr__(self) -> str:
        return f"SnapshotReader({self.root!r}, snapshot={self.manifest.number})"

    def files(self, name: str) -> list[str]:
        """Absolute paths or gs:// URLs of a table's base files, for engines that read files themselves.

        They have the rows of the last compacted state, each track at most once: no bucket is older than snapshot
        `compacted`. If that is this snapshot, they have exactly its rows; else `scan` has them.

        Raises:
          TableError: there is no table of this name.
        """
        self._require(name)
        return [self.url(file) for file in self.manifest.base_files(name)]

    def live_files(self, name: str) -> list[DataFile]:
        """All files with rows of a table, the base of each bucket first. See `levels` for how they belong together.

        Raises:
          TableError: there is no table of this name.
        """
        return self._of(name)

    def deletes(self, name: str, bucket: int) -> pa.Table:
        """What is taken out of a table's files of a bucket: its key, and `before`. See `levels`.

        Raises:
          TableError: there is no table of this name.
          storage.StorageError: the delete file is missing, unreadable or damaged.
        """
        self._require(name)
        own = self.manifest.bucket_files(DELETES_OF.get(name, ""), bucket)
        if not own:
            return no_deletes(name)
        with self._parquet(own[0]) as parquet:
            return deletes_of(parquet.read(use_threads=False).replace_schema_metadata(), name)

    def levels(self, name: str) -> list[tuple[list[str], pa.Table]]:
        """A table's live rows for engines that read files themselves and can join: see `files` for the plain list.

        Returns:
          Files that are read together, and a table with one column: the keys (`KEYS`) whose rows in these files are
          left out by an anti join. The union has each row of the table once. See `scan` for errors.
        """
        groups: dict[int, list[DataFile]] = {}
        for file in self._of(name):
            groups.setdefault(file.order if file.has_deletes else -1, []).append(file)
        buckets = {file.bucket for file in self._of(name) if file.has_deletes}
        deletes = {bucket: self.deletes(name, bucket) for bucket in buckets}
        found = []
        for order, files in groups.items():
            gone = [deletes[file.bucket] for file in files if file.has_deletes]
            keys = [pa.table({KEYS[name]: dead_keys(one, order)}) for one in gone]
            none = pa.table({KEYS.get(name, TABLES[name].names[0]): pa.array([], pa.string())})
            found.append(([self.url(file) for file in files], pa.concat_tables([none, *keys])))
        return found

    @property
    def compacted(self) -> int:
        """Number of the oldest snapshot whose rows a bucket of `files` has; 0 if an earlier version wrote it."""
        if not self.manifest.run.has_levels:
            return self.manifest.number
        return min(file.order for name in TABLES for file in self.manifest.base_files(name) if file.merged)

    def url(self, file: DataFile) -> str:
        """Absolute path or gs:// URL of one of the manifest's files."""
        root = self.root if "://" in self.root else str(Path(self.root).absolute())
        return storage.join(root, file.path)

    def open(self, file: DataFile) -> BinaryIO:
        """Opens one of the manifest's files. What is read is compared with the manifest, see `open_published`."""
        return open_published(self.url(file), file, self._hashed)

    def schema(self, name: str) -> pa.Schema:
        """Columns of a table in this snapshot. `tracks` can have further columns, from the catalog.

        Raises:
          TableError: there is no table of this name.
        """
        files = self._of(name)
        return self.schema_of(files[0]) if files else TABLES[name]

    def schema_of(self, file: DataFile) -> pa.Schema:
        """Columns of one of the manifest's files."""
        with self._parquet(file) as parquet:
            return parquet.schema_arrow.remove_metadata()

    def scan(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        *,
        track_ids: Iterable[str] | None = None,
        bucket: int | None = None,
        embedding_id: str | None = None,
    ) -> pa.Table:
        """Reads rows of a table into memory.

        Args:
          name: `tracks`, `track_tags`, `embeddings`, `ledger`, `taxonomy`, `artist_tags`, `album_tags` or
            `neighbours`.
          columns: columns to read, in this order; all by default.
          track_ids: read only the rows of these tracks. Only files of their buckets are opened, and row groups are
            skipped by their statistics.
          bucket: read only the rows of this bucket, 0 to `buckets` - 1.
          embedding_id: the embedding that the caller needs. A snapshot without it is refused. Of a mixed snapshot,
            which has several, only its rows are read. `embeddings` of a mixed snapshot are not read without it;
            `EVERY_EMBEDDING` asks for all.

        Raises:
          TableError: no such table, column or bucket, the snapshot does not have this `embedding_id`, or it has several
            and none is named.
          storage.StorageError: a file is missing, unreadable or damaged.
        """
        read = self._with_order(name, columns)
        tables, only = [], self._only_embedding(name, embedding_id)
        selected = self._selected(name, track_ids, bucket)
        for _, group in itertools.groupby(selected, key=lambda one: one[0].bucket):
            files = list(group)
            in_levels = bool(files[0][0].merged)
            found = list(self._rows_of(files, read if in_levels else columns, only))
            if found and in_levels:
                rows = in_order(name, pa.Table.from_batches(found))
                tables.append(rows if columns is None else rows.select(list(columns)))
            elif found:
                tables.append(pa.Table.from_batches(found))
        if tables:
            return pa.concat_tables(tables)
        schema = self.schema(name)
        self._check_columns(name, schema, columns)
        return schema.empty_table().select(schema.names if columns is None else list(columns))

    def batches(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        *,
        track_ids: Iterable[str] | None = None,
        bucket: int | None = None,
        embedding_id: str | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Reads the rows of `scan` in batches of up to 65,536 rows, with at most one row group in memory.

        Rows are in the order of `live_files`, and within a file in its order. See `scan` for arguments and errors.
        """
        only = self._only_embedding(name, embedding_id)
        yield from self._rows_of(self._selected(name, track_ids, bucket), columns, only)

    def rows_of(self, file: DataFile, columns: Sequence[str] | None = None) -> pa.Table:
        """The live rows of one of the manifest's files, in its order."""
        found = list(self._rows_of([(file, None)], columns))
        if found:
            return pa.Table.from_batches(found)
        rows = self.schema_of(file).empty_table()
        return rows if columns is None else rows.select(list(columns))

    def _selected(self, name: str, track_ids: Iterable[str] | None, bucket: int | None) -> Iterator["Selected"]:
        """The files with rows of the given tracks and bucket, and the ids of these tracks, or None."""
        files = self._of(name) if bucket is None else self._in_bucket(name, bucket)
        wanted = None if track_ids is None else self._by_bucket(name, track_ids)
        for file in files:
            if wanted is None:
                yield file, None
            elif file.bucket in wanted:
                yield file, wanted[file.bucket]

    def _rows_of(
        self, selected: Iterable["Selected"], columns: Sequence[str] | None, embedding_id: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Reads the live rows of files, of one embedding if it is named; the delete file of a bucket is read once."""
        deletes, of = None, None
        for file, track_ids in selected:
            if file.has_deletes and (deletes is None or of != file.bucket):
                deletes, of = self.deletes(file.table, file.bucket), file.bucket
            dead = dead_keys(deletes, file.order) if file.has_deletes and deletes is not None else None
            yield from self._read(file, columns, track_ids, dead, embedding_id)

    def _with_order(self, name: str, columns: Sequence[str] | None) -> list[str] | None:
        """The columns, and those that rows are sorted by."""
        if columns is None:
            return None
        _refuse_text("columns", columns, "names")
        return list(dict.fromkeys([*columns, *(key for key, _ in total_order(name))]))

    def _parquet(self, file: DataFile) -> contextlib.AbstractContextManager[CheckedFile]:
        return open_parquet(self.url(file), open_file=lambda _: self.open(file))

    def previous(self) -> "SnapshotReader | None":
        """The parent of this snapshot; None for the first snapshot of a table.

        Raises:
          TableError: the parent was removed.
        """
        parent = self.manifest.run.parent
        return None if parent is None else open_snapshot(self.root, parent)

    def _of(self, name: str) -> list[DataFile]:
        self._require(name)
        return self.manifest.files(name)

    def _in_bucket(self, name: str, bucket: int) -> list[DataFile]:
        self._require(name)
        if not 0 <= bucket < self.buckets:
            raise TableError(f"{self.root}: no bucket {bucket}; buckets are 0 to {self.buckets - 1}")
        return self.manifest.bucket_files(name, bucket)

    def _require(self, name: str) -> None:
        if name not in TABLES:
            raise TableError(f"{self.root}: no table {name!r}; tables are {', '.join(TABLES)}")

    def _check_columns(self, name: str, schema: pa.Schema, columns: Sequence[str] | None) -> None:
        _refuse_text("columns", columns, "names")
        for column in columns or ():
            if column not in schema.names:
                raise TableError(
                    f"{self.root}: {name} of snapshot {self.manifest.number} has no column {column!r}; "
                    f"columns are {', '.join(schema.names)}"
                )

    def _only_embedding(self, name: str, embedding_id: str | None) -> str | None:
        """The embedding to whose rows a read is limited; None if it gets all rows."""
        own = self.manifest.run.embedding_ids
        if embedding_id is None:
            if name == "embeddings" and len(own) > 1:
                raise TableError(
                    f"{self.root}: snapshot {self.manifest.number} has embeddings {' and '.join(own)}, which are not "
                    "comparable: name one of them as embedding_id"
                )
            return None
        self._check_columns(name, TABLES[name], ["embedding_id"])
        if embedding_id == EVERY_EMBEDDING:
            return None
        if embedding_id not in own:
            raise TableError(
                f"{self.root}: snapshot {self.manifest.number} has embeddings {' and '.join(own)}, not {embedding_id}"
            )
        return embedding_id if len(own) > 1 else None

    def _by_bucket(self, name: str, track_ids: Iterable[str]) -> Mapping[int, list[str]]:
        """Bucket -> sorted ids of the given tracks that are assigned to it."""
        self._check_columns(name, TABLES[name], [TRACK_ID])
        _refuse_text("track_ids", track_ids, "ids")
        if isinstance(track_ids, pa.Array | pa.ChunkedArray):
            track_ids = track_ids.to_pylist()
        buckets: dict[int, list[str]] = defaultdict(list)
        for track_id in sorted(set(track_ids)):
            buckets[bucket_of(track_id, self.buckets)].append(track_id)
        return buckets

    def _read(
        self,
        file: DataFile,
        columns: Sequence[str] | None,
        track_ids: Sequence[str] | None,
        dead: pa.Array | None,
        embedding_id: str | None,
    ) -> Iterator[pa.RecordBatch]:
        with self._parquet(file) as parquet:
            self._check_columns(file.table, parquet.schema_arrow, columns)
            names = parquet.schema_arrow.names if columns is None else list(columns)
            groups = range(parquet.num_row_groups) if track_ids is None else parquet.groups_with(TRACK_ID, track_ids)
            own = (track_ids is not None and TRACK_ID, dead is not None and KEYS[file.table])
            keys = [key for key in (*own, embedding_id is not None and "embedding_id") if key]
            read = list(dict.fromkeys([*keys, *names])) if keys else names
            wanted = pa.array(track_ids or (), pa.string())
            # One row group per call, because a call fetches the columns of all its groups before the first batch.
            for group in groups:
                for batch in parquet.iter_batches(BATCH_ROWS, [group], read, use_threads=False):
                    if track_ids is not None:
                        batch = batch.filter(pc.is_in(batch[TRACK_ID], value_set=wanted))
                    if embedding_id is not None:
                        batch = batch.filter(pc.equal(batch["embedding_id"], embedding_id))
                    if dead is not None:
                        batch = batch.filter(pc.invert(pc.is_in(batch[KEYS[file.table]], value_set=dead)))
                    if batch.num_rows:
                        yield batch.select(names).replace_schema_metadata()


def _refuse_text(argument: str, value: object, what: str) -> None:
    """Refuses one text where several are meant: it would be read letter by letter."""
    if isinstance(value, str):
        raise TypeError(f"{argument}={value!r}: give a list of {what}")


Selected = tuple[DataFile, Sequence[str] | None]
"""A file, and the ids of the tracks that are wanted of it; None: all."""


def open_snapshot(
    root: str, snapshot: int | None = None, *, as_of: datetime.date | str | None = None
) -> SnapshotReader:
    """Opens a published snapshot, the newest by default.

    Args:
      root: folder or gs:// prefix of the table.
      snapshot: number of a snapshot.
      as_of: open the newest snapshot that was published by this time: a date (its end, UTC), a datetime (UTC if it has
        no time zone), or either in ISO format, such as "2026-01-31" or "2026-01-31T06:00+01:00".

    Raises:
      TableError: no such snapshot, or the table needs a newer version of this program.
      ValueError: both `snapshot` and `as_of` are given, or `as_of` is not a time.
      TypeError: `snapshot` is no number.
      storage.StorageError: the storage does not answer.
    """
    if snapshot is not None and as_of is not None:
        raise ValueError("give snapshot or as_of, not both")
    if snapshot is not None and not isinstance(snapshot, int):
        raise TypeError(f"snapshot={snapshot!r}: give the number of a snapshot, or a time as as_of={snapshot!r}")
    moment = None if as_of is None else moment_of(as_of)
    numbers, buckets = _published(root)
    if moment is not None:
        earlier = bisect.bisect_right(numbers, moment, key=lambda number: _created(root, number))
        if not earlier:
            first = read_snapshot(root, numbers[0])
            raise TableError(
                f"{root}: no snapshot as of {as_of}; the first one, {first.number}, is from {first.created}"
            )
        snapshot = numbers[earlier - 1]
    elif snapshot is None:
        snapshot = numbers[-1]
    elif snapshot not in numbers:
        raise TableError(f"{root}: no snapshot {snapshot}; snapshots are {_ranges(numbers)}")
    return SnapshotReader(root=root, manifest=read_snapshot(root, snapshot), buckets=buckets)


def open_history(root: str) -> Iterator[SnapshotReader]:
    """Yields all published snapshots of a table, oldest first. See `open_snapshot` for errors."""
    numbers, buckets = _published(root)
    for number in numbers:
        yield SnapshotReader(root=root, manifest=read_snapshot(root, number), buckets=buckets)


def published_numbers(root: str) -> list[int]:
    """Numbers of all published snapshots, at least one, ascending. See `open_snapshot` for errors."""
    return _published(root)[0]


def _published(root: str) -> tuple[list[int], int]:
    """Numbers of the published snapshots, at least one, and the table's bucket count."""
    try:
        buckets = read_table_metadata(root).buckets
    except storage.NotFound as error:
        raise TableError(f"no snapshot is published here: {error}") from error
    numbers = listed_numbers(root)
    if not numbers:
        raise TableError(f"{root}: no snapshot is published here; `catalog-tagger tag --table {root}` publishes one")
    return numbers, buckets


def _created(root: str, number: int) -> datetime.datetime:
    return datetime.datetime.fromisoformat(read_snapshot(root, number).created)


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as short text.

    >>> _ranges([1, 2, 3, 7])
    '1 to 3, 7'
    """
    firsts = [n for n in numbers if n - 1 not in numbers]
    lasts = [n for n in numbers if n + 1 not in numbers]
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in zip(firsts, lasts, strict=True))
