"""A sample of the tracks of a table, chosen by a hash of their ids, with a share of each bucket."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.formats.arrow import group_numbers
from transforms.schemas.tables import TABLES
from transforms.table.reader import TRACK_ID, Selected, SnapshotReader

NO_TRACK = -1
"""Bound of a bucket without a track in the sample."""


def track_hashes(purpose: str, track_ids: Iterable[str]) -> npt.NDArray[np.int64]:
    """A hash of each id, from 0 to 2^63 - 1, for one purpose; it does not depend on its bucket: int64 [tracks]."""
    digests = (hashlib.sha256(f"{purpose}\0{track_id}".encode()).digest() for track_id in track_ids)
    return np.fromiter((int.from_bytes(digest[:8], "big") >> 1 for digest in digests), np.int64)


def sample_hashes(track_ids: Iterable[str]) -> npt.NDArray[np.int64]:
    """The hashes that draw samples: int64 [tracks]."""
    return track_hashes("sample", track_ids)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackSample:
    """The tracks of a sample: in each bucket, those with the smallest hashes.

    Attributes:
      bounds: the largest hash of the sample in each bucket, or `NO_TRACK`.
      tracks: number of the catalog's tracks in the sample.
      before: counts of the last snapshot, over its tracks in the sample; empty if there is no snapshot.
    """

    bounds: tuple[int, ...]
    tracks: int
    before: dict[str, int] = dataclasses.field(default_factory=dict)

    def mask(self, bucket: int, track_ids: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which tracks of a bucket are in the sample: bool [tracks]."""
        found: npt.NDArray[np.bool_] = sample_hashes(track_ids) <= self.bounds[bucket]
        return found


def rows_of_sample(rows: pa.Table, sample: TrackSample | None) -> pa.Table:
    """Those rows of any buckets whose tracks are in the sample; all without one."""
    if sample is None:
        return rows
    ids = rows[TRACK_ID].to_pylist()
    bounds = np.array(sample.bounds, np.int64)[group_numbers(ids, len(sample.bounds))]
    return rows.filter(pa.array(sample_hashes(ids) <= bounds))


class SampledSnapshot(SnapshotReader):
    """A snapshot of which only the tracks of a sample are read. Its counts are those of the sample."""

    _sample: TrackSample

    @classmethod
    def of(cls, snapshot: SnapshotReader, sample: TrackSample) -> Self:
        """The part of a snapshot that is in the sample."""
        run = dataclasses.replace(snapshot.manifest.run, counts={**snapshot.manifest.run.counts, **sample.before})
        manifest = dataclasses.replace(snapshot.manifest, run=run)
        sampled = cls(root=snapshot.root, manifest=manifest, buckets=snapshot.buckets)
        object.__setattr__(sampled, "_sample", sample)
        return sampled

    def _rows_of(
        self, selected: Iterable[Selected], columns: Sequence[str] | None, embedding_id: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of `SnapshotReader._rows_of` whose tracks are in the sample; other tables are read whole."""
        for file, track_ids in selected:
            if TRACK_ID not in TABLES.get(file.table, TABLES["taxonomy"]).names:
                yield from super()._rows_of([(file, track_ids)], columns, embedding_id)
                continue
            wanted = self.schema_of(file).names if columns is None else list(columns)
            read = list(dict.fromkeys([*wanted, TRACK_ID]))
            for batch in super()._rows_of([(file, track_ids)], read, embedding_id):
                batch = batch.filter(pa.array(self._sample.mask(file.bucket, batch[TRACK_ID].to_pylist())))
                if batch.num_rows:
                    yield batch.select(wanted)
