"""Rows of tracks by id: one bucket is read, and stays in memory for the next request."""

import bisect
import dataclasses
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import pyarrow as pa

from pipelines.serving.cache import ByteCache
from pipelines.terminal.printing import plain_rows
from transforms.formats.hashing import bucket_of
from transforms.schemas.tables import DELETES_OF
from transforms.table.reader import SnapshotReader

_ID_BYTES = 75
"""Memory of a track id as a Python text."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class KeptReader(SnapshotReader):
    """A snapshot whose buckets of `tracks` and `ledger`, or columns of them, stay in a cache.

    Attributes:
      kept: the cache.
    """

    kept: ByteCache

    @classmethod
    def of(cls, snapshot: SnapshotReader, kept: ByteCache) -> "KeptReader":
        """The snapshot with a cache."""
        return cls(root=snapshot.root, manifest=snapshot.manifest, buckets=snapshot.buckets, kept=kept)

    def schema(self, name: str) -> pa.Schema:
        """See `SnapshotReader.schema`."""
        files = self._of(name)
        key = ("schema", name, files[0].path if files else "")
        return self.kept.get(key, lambda: SnapshotReader.schema(self, name), lambda schema: 200 * len(schema))

    def bucket_rows(self, name: str, bucket: int) -> tuple[pa.Table, list[str]]:
        """The rows of a bucket of a table with one row a track, and their track ids, ascending."""
        key = self._rows_key(name, bucket)

        def read() -> tuple[pa.Table, list[str]]:
            rows = SnapshotReader.scan(self, name, bucket=bucket).combine_chunks()
            return rows, rows["track_id"].to_pylist()

        return self.kept.get(key, read, lambda found: int(found[0].nbytes) + _ID_BYTES * len(found[1]))

    def scan(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        *,
        track_ids: Iterable[str] | None = None,
        bucket: int | None = None,
        embedding_id: str | None = None,
    ) -> pa.Table:
        """See `SnapshotReader.scan`. Columns of whole buckets of `tracks` come from the cache."""
        if name != "tracks" or bucket is None or track_ids is not None or embedding_id is not None:
            return super().scan(name, columns, track_ids=track_ids, bucket=bucket, embedding_id=embedding_id)
        if columns is None:
            return self.bucket_rows(name, bucket)[0]
        if (whole := self.kept.find(self._rows_key(name, bucket))) is not None:
            self._check_columns(name, whole[0].schema, columns)
            return whole[0].select(list(columns))
        schema = self.schema(name)
        self._check_columns(name, schema, columns)
        fields = [schema.field(column) for column in columns]
        return pa.table([self._column(name, bucket, column) for column in columns], pa.schema(fields))

    def _rows_key(self, name: str, bucket: int) -> Hashable:
        return ("rows", name, bucket, *self.manifest.content(name, bucket))

    def _column(self, name: str, bucket: int, column: str) -> pa.ChunkedArray:
        """A column of a bucket, in the order of the rows."""
        key = ("column", name, bucket, column, *self.manifest.content(name, bucket))

        def read() -> pa.ChunkedArray:
            return SnapshotReader.scan(self, name, [column], bucket=bucket).combine_chunks()[column]

        return self.kept.get(key, read, lambda found: int(found.nbytes))


def rows_by_id(snapshot: KeptReader, name: str, track_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Track id -> its row of a table with one row a track, in values that JSON can represent. Unknown ids are left out.

    See `SnapshotReader.scan` for errors.
    """
    found: dict[str, dict[str, Any]] = {}
    for track_id in track_ids:
        rows, ids = snapshot.bucket_rows(name, bucket_of(track_id, snapshot.buckets))
        place = bisect.bisect_left(ids, track_id)
        if place < len(ids) and ids[place] == track_id:
            values = next(plain_rows(rows.slice(place, 1).to_batches(), rows.schema))
            found[track_id] = dict(zip(rows.schema.names, values, strict=True))
    return found


def bucket_reader(snapshot: SnapshotReader, name: str, bucket: int) -> SnapshotReader:
    """The snapshot as if it had no other files than those of one table in one bucket."""
    manifest, kinds = snapshot.manifest, (name, DELETES_OF.get(name))
    files = tuple(file for file in manifest.run.files if file.bucket == bucket and file.table in kinds)
    run = dataclasses.replace(manifest.run, files=files)
    shown = dataclasses.replace(manifest, run=run)
    return SnapshotReader(root=snapshot.root, manifest=shown, buckets=snapshot.buckets)
