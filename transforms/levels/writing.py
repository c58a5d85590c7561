"""Writes a new version of a bucket: as files of new rows and deletes beside those of the last snapshot, or whole.

Each table of the bucket is decided by itself:

- no row changed: its files stay;
- its compaction is due (`Compaction.due`, from what the last snapshot says alone), most of its rows changed, or the
  files of the last snapshot cannot stay: one base file;
- else: one file with the rows of changed keys, and the delete file of the bucket takes out their earlier versions. If
  there are `MOST_NEWER` such files already, their rows are written again into the new one.
"""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from transforms.formats.arrow import type_name
from transforms.levels.differences import changed_keys, row_keys
from transforms.schemas.tables import DELETED_BY, DELETES, GROUPED_BY, KEYS
from transforms.table.content import comparable_digest
from transforms.table.levels import BEFORE, no_deletes
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import DataFile, Ids

MOST_NEWER = 8
"""Most files of a table in a bucket beside its base."""

MOST_CHANGED = 0.5
"""If a run changes a larger share of a table's rows in a bucket, they are written whole."""

GROUPS_FACTOR = 5
"""Artists and albums have several tracks, so a larger share of them changes: their limit is that of tracks, times
this."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compaction:
    """When a run writes a table's bucket as one file again.

    Attributes:
      share: newer or dead rows per live row, on average over all buckets. The limit of a bucket is from half of it to
        three halves, by a hash, so that no night compacts all of them.
      full: compact whatever is not.
      least_bytes: smaller base files are written whole, because a further file costs thousands of bytes.
    """

    share: float = 0.2
    full: bool = False
    least_bytes: int = 64 << 10

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 10:
            raise ValueError(f"compaction share {self.share} is not between 0 and 10")

    def due(self, files: Sequence[DataFile]) -> bool:
        """Whether a table's bucket, given by its files in the last snapshot with the base first, is compacted."""
        if not files or not files[0].merged:
            return False
        base, newer = files[0], files[1:]
        moved = max(sum(file.rows - file.dead for file in newer), sum(file.dead for file in files))
        live = sum(file.rows - file.dead for file in files)
        return self.full or moved > self.share * _factor(base.table, base.bucket) * live


def _factor(name: str, bucket: int) -> float:
    """From 0.5 to 1.5, times `GROUPS_FACTOR` for artists and albums."""
    value = int.from_bytes(hashlib.sha256(f"{name}\0{bucket}".encode()).digest()[:4], "big")
    return (0.5 + value / 2**32) * (GROUPS_FACTOR if name in GROUPED_BY else 1)


class CompactedFiles(NamedTuple):
    """What a run compacts.

    Attributes:
      files: number of base files that it writes for this.
      read_bytes: size of the files that they replace.
      write_bytes: size of the files that it writes; in a plan, estimated from the live share of those that it reads.
    """

    files: int
    read_bytes: int
    write_bytes: int


def planned_compaction(compaction: Compaction, parent: SnapshotReader | None) -> CompactedFiles:
    """What the next run compacts: decided from the last snapshot alone, so it is known before the run."""
    groups = list(_due(compaction, parent))
    read = [sum(file.bytes for file in files) for files in groups]
    live = [sum(file.rows - file.dead for file in files) / sum(file.rows for file in files) for files in groups]
    return CompactedFiles(len(groups), sum(read), sum(round(b * share) for b, share in zip(read, live, strict=True)))


def done_compaction(compaction: Compaction, parent: SnapshotReader | None, files: Iterable[DataFile]) -> CompactedFiles:
    """What a run with these files compacted of what was due. A bucket that lost all its rows is compacted, too."""
    now: dict[tuple[str, int], list[DataFile]] = {}
    for file in files:
        now.setdefault((file.table, file.bucket), []).append(file)
    done = [(old, now.get((old[0].table, old[0].bucket), [])) for old in _due(compaction, parent)]
    done = [(old, new) for old, new in done if not any(file.merged for file in new)]
    return CompactedFiles(
        len(done),
        sum(file.bytes for old, _ in done for file in old),
        sum(file.bytes for _, new in done for file in new),
    )


def _due(compaction: Compaction, parent: SnapshotReader | None) -> Iterator[Sequence[DataFile]]:
    """The files of each table's bucket whose compaction is due."""
    if parent is None or not parent.manifest.run.has_levels:
        return
    for name in KEYS:
        yield from (files for files in parent.manifest.by_bucket(name).values() if compaction.due(files))


class _Version(NamedTuple):
    """A table's new files in a bucket, and what its keys are taken out before: a table of its key and `BEFORE`."""

    files: list[DataFile]
    deletes: pa.Table


class LevelWriter(NamedTuple):
    """Writes buckets of one run.

    Attributes:
      parent: the last snapshot; None if there is none.
      ids: ids that the new rows were computed with.
      order: order of new files.
      compaction: when a table's bucket is written whole.
      write: writes a file: bucket, table, rows -> its entry.
    """

    parent: SnapshotReader | None
    ids: Ids
    order: int
    compaction: Compaction
    write: Any

    def bucket(self, bucket: int, tables: Mapping[str, pa.Table]) -> list[DataFile]:
        """Writes the tables of a bucket; returns all files of the bucket in the new snapshot."""
        versions = {name: self._version(bucket, name, rows) for name, rows in tables.items()}
        files = [file for version in versions.values() for file in version.files]
        for kind, (_, names) in DELETED_BY.items():
            if own := {name: versions[name].deletes for name in names if name in versions}:
                files += self._delete_file(bucket, kind, own)
        return files

    def _version(self, bucket: int, name: str, rows: pa.Table) -> _Version:
        old = [] if self.parent is None else self.parent.manifest.bucket_files(name, bucket)
        none = no_deletes(name)
        if self.parent is None or not self._stays(name, old):
            return _Version([self.write(bucket, name, rows)], none)
        deletes = self.parent.deletes(name, bucket) if any(f.has_deletes for f in old) else none
        content = comparable_digest(name, rows)
        if name != "ledger" and content in self.parent.manifest.content(name, bucket):
            return _Version(old, deletes)
        changed = self._changed(bucket, name, rows, old, deletes, content)
        return _Version([self.write(bucket, name, rows)], none) if changed is None else changed

    def _stays(self, name: str, files: list[DataFile]) -> bool:
        """Whether files of the last snapshot may be part of the new one."""
        if self.parent is None or not files or self.compaction.due(files):
            return False
        earlier = self.parent.manifest.run.ids
        if name == "embeddings":
            return (earlier.feature_id, earlier.embedding_id) == (self.ids.feature_id, self.ids.embedding_id)
        return earlier == self.ids

    def _changed(
        self, bucket: int, name: str, rows: pa.Table, old: list[DataFile], deletes: pa.Table, content: str
    ) -> _Version | None:
        """The version beside the files of the last snapshot; None if it is written whole."""
        parent, key = self.parent, KEYS[name]
        assert parent is not None
        if not _same_schema(parent.schema_of(old[0]), rows.schema):
            return None
        pieces = [(file, parent.rows_of(file, row_keys(name))) for file in old]
        before = pa.concat_tables([piece for _, piece in pieces])

        def column(other: str) -> pa.ChunkedArray:
            return pa.concat_tables([parent.rows_of(file, [other]) for file in old])[other]

        changed = changed_keys(name, before, rows, column)
        if changed is None:
            return None
        if not len(changed.written) and not len(changed.removed):
            return _Version(old, deletes)
        if old[0].bytes < self.compaction.least_bytes:
            return None
        written, gone = changed.written, pa.concat_arrays([changed.written, changed.removed])
        if len(pieces) > MOST_NEWER:
            merged = pc.unique(pa.chunked_array([c for _, piece in pieces[1:] for c in piece[key].chunks], pa.string()))
            gone = pc.unique(pa.chunked_array([gone, merged]))
            written = gone.filter(pc.is_in(gone, value_set=pc.unique(rows[key])))
        new = rows.filter(pc.is_in(rows[key], value_set=written))
        dead = [pc.sum(pc.is_in(piece[key], value_set=gone)).as_py() or 0 for _, piece in pieces]
        if new.num_rows > MOST_CHANGED * rows.num_rows or dead[0] > MOST_CHANGED * len(pieces[0][1]):
            return None
        kept = [
            (dataclasses.replace(file, dead=file.dead + lost, merged=""), piece)
            for (file, piece), lost in zip(pieces, dead, strict=True)
            if file is old[0] or file.dead + lost < file.rows
        ]
        files = [file for file, _ in kept]
        if new.num_rows:
            files.append(self.write(bucket, name, new))
        if len(files) > 1 or files[0].dead:
            files[0] = dataclasses.replace(files[0], merged=content)
        return _Version(files, self._deletes(deletes, pa.concat_tables([piece for _, piece in kept])[key], gone, key))

    def _deletes(self, deletes: pa.Table, before: pa.ChunkedArray, gone: pa.Array, key: str) -> pa.Table:
        """Earlier deletes, and those of the keys that had rows in files that stay."""
        taken = gone.filter(pc.is_in(gone, value_set=pc.unique(before)))
        others = deletes.filter(pc.invert(pc.is_in(deletes[key], value_set=taken)))
        new = pa.table({key: taken, BEFORE: pa.repeat(pa.scalar(self.order, pa.int32()), len(taken))})
        return pa.concat_tables([others, new])

    def _delete_file(self, bucket: int, kind: str, deletes: Mapping[str, pa.Table]) -> list[DataFile]:
        """The delete file of a bucket: that of the last snapshot if it says the same; none if nothing is taken out."""
        key = DELETED_BY[kind][0]
        keys = pc.unique(pa.chunked_array([c for one in deletes.values() for c in one[key].chunks], pa.string()))
        if not len(keys):
            return []
        keys = keys.take(pc.sort_indices(keys))
        columns = {key: keys}
        for name in DELETES[kind].names[1:]:
            own = deletes.get(name)
            found = pa.nulls(len(keys), pa.int32())
            if own is not None and own.num_rows:
                found = own[BEFORE].combine_chunks().take(pc.index_in(keys, value_set=own[key].combine_chunks()))
            columns[name] = pc.fill_null(found, 0)
        rows = pa.table(columns).cast(DELETES[kind])
        earlier = [] if self.parent is None else self.parent.manifest.bucket_files(kind, bucket)
        if earlier and self.parent is not None and self.parent.rows_of(earlier[0]).equals(rows):
            return earlier
        return [self.write(bucket, kind, rows)]


def _same_schema(old: pa.Schema, new: pa.Schema) -> bool:
    """Whether rows of both may be in files of one table; the names of list items do not count."""
    return old.names == new.names and all(
        type_name(old.field(name).type) == type_name(new.field(name).type) for name in new.names
    )
