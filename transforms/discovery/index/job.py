"""The work of one set of neighbours: tracks of one embedding of a snapshot, in four steps that leave files.

1. `assign_bucket`: vectors and cells of the tracks of a bucket, split by groups of cells.
2. `gather_group`: a group's tracks from all buckets: a file of the index.
3. `rank_group`: candidates of a group's tracks from the nearest cells, by exact similarity; their density.
4. `damp_group`: the neighbours, with hubs ranked lower; split by buckets.

`bucket_neighbours` then reads the rows of a bucket. A step that finds its file does nothing, so a killed job resumes.
All is the same to the bit for any number of workers: each product of matrices has a shape that the cells decide.
"""

import dataclasses
import functools
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from transforms import storage
from transforms.discovery.index.cells import nearest_cells
from transforms.discovery.index.groups import Group
from transforms.discovery.index.manifest import IndexFile
from transforms.discovery.index.model import IndexModel
from transforms.discovery.index.pieces import read_piece, write_pieces
from transforms.discovery.similarity import Float32s
from transforms.discovery.vectors import bucket_vectors
from transforms.formats.arrow import group_numbers
from transforms.table.reader import SnapshotReader, open_snapshot


@dataclasses.dataclass(frozen=True, kw_only=True)
class NeighbourJob:
    """One set of neighbours.

    Attributes:
      root: folder or gs:// prefix of the table.
      snapshot: number of the snapshot.
      work: folder of files that are removed after the job, relative to the root.
      index: folder of the index, relative to the root.
      number: number of the set in the snapshot, from 0.
      neighbours: neighbours of a track.
      probes: cells from which the candidates of a cell's tracks come.
    """

    root: str
    snapshot: int
    work: str
    index: str
    number: int
    neighbours: int
    probes: int

    @property
    def model_path(self) -> str:
        """Path of the model, relative to the root."""
        return f"{self.index}/{self.number}-model.npz"

    def group_path(self, group: int) -> str:
        """Path of a group of the index, relative to the root."""
        return f"{self.index}/{self.number}-{group:06d}.arrow"

    def part(self, step: str, number: int) -> str:
        """URL of what a step leaves behind."""
        return storage.join(self.root, f"{self.work}/{self.number}-{step}-{number:06d}.arrow")

    def url(self, path: str) -> str:
        """URL of a path relative to the root."""
        return storage.join(self.root, path)


@functools.lru_cache(maxsize=4)
def opened_snapshot(root: str, number: int) -> SnapshotReader:
    """The snapshot, opened once a process."""
    return open_snapshot(root, number)


@functools.lru_cache(maxsize=4)
def opened_model(url: str) -> IndexModel:
    """The model, read once a process."""
    return IndexModel.from_bytes(storage.read_bytes(url))


def model_of(job: NeighbourJob) -> IndexModel:
    """The model of a job."""
    return opened_model(job.url(job.model_path))


def assign_bucket(job: NeighbourJob, bucket: int) -> None:
    """Writes vectors, cells and durations of a bucket's tracks, in one record batch for each group."""
    url = job.part("assigned", bucket)
    if storage.exists(url):
        return
    snapshot, model = opened_snapshot(job.root, job.snapshot), model_of(job)
    ids, vectors = bucket_vectors(snapshot, model.space, bucket)
    cells = nearest_cells(vectors, model.centres)
    rows = pa.table(
        {
            "track_id": ids,
            "cell": pa.array(cells.astype(np.int32)),
            "duration_s": pa.array(_durations(snapshot, bucket, ids)),
            "vector": pa.FixedSizeListArray.from_arrays(
                pa.array(vectors.astype(np.float16).ravel()), model.space.dimensions
            ),
        }
    )
    write_pieces(url, rows, model.groups_of(cells), model.groups)


def _durations(snapshot: SnapshotReader, bucket: int, ids: pa.Array) -> Float32s:
    rows = snapshot.scan("tracks", ["track_id", "duration_s"], bucket=bucket)
    places = pa.compute.index_in(ids, value_set=rows["track_id"])
    found: Float32s = np.asarray(rows["duration_s"].take(places).cast(pa.float32()).fill_null(np.nan), np.float32)
    return found


def gather_group(job: NeighbourJob, group: int) -> IndexFile:
    """Writes a group of the index."""
    path = job.group_path(group)
    url = job.url(path)
    if storage.exists(url):
        data = storage.read_bytes(url)
        return IndexFile.of(path, data, len(Group.opened(url).cells))
    model, snapshot = model_of(job), opened_snapshot(job.root, job.snapshot)
    pieces = [read_piece(job.part("assigned", bucket), group) for bucket in range(snapshot.buckets)]
    rows = pa.Table.from_batches(pieces).combine_chunks()
    vectors = np.asarray(rows["vector"].combine_chunks().flatten()) if len(rows) else np.zeros(0, np.float16)
    found = Group.of(
        model,
        rows["track_id"].combine_chunks() if len(rows) else pa.array([], pa.string()),
        np.asarray(rows["cell"]).astype(np.int64),
        np.asarray(rows["duration_s"], np.float32),
        vectors.reshape(len(rows), model.space.dimensions).astype(np.float32),
    )
    data = found.to_bytes()
    storage.ensure(url, data)
    return IndexFile.of(path, data, len(rows))


def write_group_rows(job: NeighbourJob, group: int, rows: pa.Table) -> None:
    """Writes the neighbours of a group's tracks, in one record batch for each bucket of the tracks."""
    buckets = opened_snapshot(job.root, job.snapshot).buckets
    write_pieces(job.part("damped", group), rows, group_numbers(rows["track_id"].to_pylist(), buckets), buckets)


def bucket_neighbours(job: NeighbourJob, bucket: int, groups: Iterable[int]) -> pa.Table:
    """The rows of `neighbours` of a bucket's tracks, in any order."""
    pieces = [read_piece(job.part("damped", group), bucket) for group in groups]
    return pa.Table.from_batches(pieces)
