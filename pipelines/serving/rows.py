"""Rows of tracks by id: one bucket is read, and stays in memory for the next request."""

import bisect
import dataclasses
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.serving.cache import ByteCache
from pipelines.terminal.printing import plain_rows
from transforms.formats.arrow import one_array
from transforms.formats.hashing import bucket_of
from transforms.schemas.tables import DELETES_OF
from transforms.table.reader import TRACK_ID, SnapshotReader

_MOST_DIFFERENT = 0.5
"""Texts are stored once if this share of them, or fewer, are different."""


@dataclasses.dataclass(frozen=True, eq=False)
class BucketRows:
    """The rows of a bucket of a table with one row a track, in as little memory as is cheap.

    Texts that come often are stored once, also those in lists, and a column without any value takes nothing.

    Attributes:
      schema: the columns as the snapshot has them.
      packed: the same columns as they are stored, sorted by track_id.
    """

    schema: pa.Schema
    packed: pa.RecordBatch

    @classmethod
    def of(cls, rows: pa.Table) -> "BucketRows":
        """The rows, which are sorted by track_id."""
        rows = rows.combine_chunks()
        names = rows.column_names
        columns = [one_array(rows[name]) if name == TRACK_ID else _packed(one_array(rows[name])) for name in names]
        return cls(rows.schema, pa.record_batch(columns, names))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return int(self.packed.nbytes)

    def __len__(self) -> int:
        return int(self.packed.num_rows)

    def row(self, track_id: str, columns: Sequence[str] | None = None) -> dict[str, Any] | None:
        """The row of a track, or some columns of it, in values that JSON can represent; None if it is not here."""
        if (place := row_place(self.packed[TRACK_ID], track_id)) is None:
            return None
        names = self.schema.names if columns is None else list(columns)
        schema = pa.schema([self.schema.field(name) for name in names])
        values = next(plain_rows([self.packed.slice(place, 1).select(names)], schema))
        return dict(zip(names, values, strict=True))

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Columns as the snapshot has them; all by default."""
        fields = [self.schema.field(name) for name in self.schema.names if columns is None]
        fields = fields or [self.schema.field(name) for name in columns or ()]
        return pa.table([_unpacked(self.packed[field.name], field.type) for field in fields], pa.schema(fields))


def row_place(ids: pa.Array, track_id: str) -> int | None:
    """The place of an id among ascending ones; None if it is not there."""
    place = bisect.bisect_left(range(len(ids)), track_id, key=lambda n: ids[n].as_py())
    return None if place == len(ids) or ids[place].as_py() != track_id else place


def _packed(values: pa.Array) -> pa.Array:
    kind = values.type
    if values.null_count == len(values):
        return pa.nulls(len(values))
    if pa.types.is_string(kind):
        return _dictionary(values)
    if pa.types.is_list(kind):
        return _with_flat(values, _packed(values.flatten()))
    if pa.types.is_struct(kind) and not values.null_count:
        return pa.StructArray.from_arrays([_packed(one) for one in values.flatten()], [field.name for field in kind])
    return values


def _dictionary(values: pa.Array) -> pa.Array:
    encoded = values.dictionary_encode()
    if len(encoded.dictionary) > _MOST_DIFFERENT * len(values):
        return values
    width = pa.int8() if len(encoded.dictionary) <= 2**7 else pa.int16() if len(encoded.dictionary) <= 2**15 else None
    indices = encoded.indices if width is None else encoded.indices.cast(width)
    return pa.DictionaryArray.from_arrays(indices, encoded.dictionary)


def _with_flat(lists: pa.Array, flat: pa.Array) -> pa.Array:
    """Lists with other elements in the same places."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    mask = pc.is_null(lists) if lists.null_count else None
    return pa.ListArray.from_arrays(offsets, flat, mask=mask)


def _unpacked(found: pa.Array, kind: pa.DataType) -> pa.Array:
    if found.type == kind:
        return found
    if pa.types.is_null(found.type):
        return pa.nulls(len(found), kind)
    if pa.types.is_dictionary(found.type):
        return found.dictionary_decode()
    if pa.types.is_list(kind):
        return _with_flat(found, _unpacked(found.flatten(), kind.value_type)).cast(kind)
    parts = [_unpacked(one, field.type) for one, field in zip(found.flatten(), kind, strict=True)]
    return pa.StructArray.from_arrays(parts, fields=list(kind))


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

    def bucket_rows(self, name: str, bucket: int) -> BucketRows:
        """The rows of a bucket of a table with one row a track."""

        def read() -> BucketRows:
            return BucketRows.of(SnapshotReader.scan(self, name, bucket=bucket))

        return self.kept.get(self._rows_key(name, bucket), read, lambda found: found.nbytes)

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
            return self.bucket_rows(name, bucket).table()
        if (whole := self.kept.find(self._rows_key(name, bucket))) is not None:
            self._check_columns(name, whole.schema, columns)
            return whole.table(list(columns))
        schema = self.schema(name)
        self._check_columns(name, schema, columns)
        fields = [schema.field(column) for column in columns]
        return pa.table([self._column(name, bucket, column) for column in columns], pa.schema(fields))

    def bucket_ids(self, bucket: int) -> pa.Array:
        """Ids of the tracks of a bucket, ascending."""
        return one_array(self.scan("tracks", [TRACK_ID], bucket=bucket)[TRACK_ID])

    def _rows_key(self, name: str, bucket: int) -> Hashable:
        return ("rows", name, bucket, *self.manifest.content(name, bucket))

    def _column(self, name: str, bucket: int, column: str) -> pa.ChunkedArray:
        """A column of a bucket, in the order of the rows."""
        key = ("column", name, bucket, column, *self.manifest.content(name, bucket))

        def read() -> pa.ChunkedArray:
            return SnapshotReader.scan(self, name, [column], bucket=bucket).combine_chunks()[column]

        return self.kept.get(key, read, lambda found: int(found.nbytes))


def rows_by_id(
    snapshot: KeptReader, name: str, track_ids: Iterable[str], columns: Sequence[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Track id -> its row of a table with one row a track, or some columns of it, in values that JSON can represent.

    Unknown ids are left out.

    See `SnapshotReader.scan` for errors.
    """
    found: dict[str, dict[str, Any]] = {}
    for track_id in track_ids:
        row = snapshot.bucket_rows(name, bucket_of(track_id, snapshot.buckets)).row(track_id, columns)
        if row is not None:
            found[track_id] = row
    return found


def bucket_reader(snapshot: SnapshotReader, name: str, bucket: int) -> SnapshotReader:
    """The snapshot as if it had no other files than those of one table in one bucket."""
    manifest, kinds = snapshot.manifest, (name, DELETES_OF.get(name))
    files = tuple(file for file in manifest.run.files if file.bucket == bucket and file.table in kinds)
    run = dataclasses.replace(manifest.run, files=files)
    shown = dataclasses.replace(manifest, run=run)
    return SnapshotReader(root=snapshot.root, manifest=shown, buckets=snapshot.buckets)
