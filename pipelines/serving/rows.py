"""Rows of tracks by id: one bucket is read, and stays in memory for the next request."""

import bisect
import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from pipelines.terminal.printing import plain_rows
from transforms.formats.hashing import bucket_of
from transforms.schemas.tables import DELETES_OF
from transforms.table.reader import SnapshotReader

CacheKey = tuple[str, int, tuple[str, ...]]


class BucketCache:
    """Rows of buckets, sorted by track id, up to a number of bytes. The rows that were used last stay.

    A bucket that does not change from one snapshot to the next is not read again: its key is the digest of its rows.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[CacheKey, tuple[pa.Table, list[str]]] = OrderedDict()
        self._lock = threading.Lock()

    def rows(self, snapshot: SnapshotReader, name: str, bucket: int) -> tuple[pa.Table, list[str]]:
        """The rows of a bucket of a table with one row a track, and their track ids, ascending."""
        key = (name, bucket, tuple(snapshot.manifest.content(name, bucket)))
        with self._lock:
            if (found := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return found
        read = snapshot.scan(name, bucket=bucket).combine_chunks()
        found = read, read["track_id"].to_pylist()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = found
                self._bytes += _size(found)
            while self._bytes > self._most and len(self._kept) > 1:
                self._bytes -= _size(self._kept.popitem(last=False)[1])
        return found


def _size(found: tuple[pa.Table, list[str]]) -> int:
    """Bytes in memory; a Python text takes some 50 bytes more than its letters."""
    rows, ids = found
    return int(rows.nbytes) + 75 * len(ids)


def rows_by_id(
    snapshot: SnapshotReader, cache: BucketCache, name: str, track_ids: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """Track id -> its row of a table with one row a track, in values that JSON can represent. Unknown ids are left out.

    See `SnapshotReader.scan` for errors.
    """
    found: dict[str, dict[str, Any]] = {}
    for track_id in track_ids:
        rows, ids = cache.rows(snapshot, name, bucket_of(track_id, snapshot.buckets))
        place = bisect.bisect_left(ids, track_id)
        if place < len(ids) and ids[place] == track_id:
            one = rows.slice(place, 1)
            values = next(plain_rows(one.to_batches(), rows.schema))
            found[track_id] = dict(zip(rows.schema.names, values, strict=True))
    return found


def bucket_reader(snapshot: SnapshotReader, name: str, bucket: int) -> SnapshotReader:
    """The snapshot as if it had no other files than those of one table in one bucket."""
    manifest, kinds = snapshot.manifest, (name, DELETES_OF.get(name))
    files = tuple(file for file in manifest.run.files if file.bucket == bucket and file.table in kinds)
    run = dataclasses.replace(manifest.run, files=files)
    return dataclasses.replace(snapshot, manifest=dataclasses.replace(manifest, run=run))
