"""What one set of neighbours is made of: its settings, the names of its files, and the index that it starts from.

The work has five steps that leave files:

1. `split_base`: ids and digests of the tracks of a group of the earlier index, split by buckets.
2. `assign_bucket`: what changed in a bucket since: vectors and cells of new tracks, split by groups of cells.
3. `gather_group`: a group's tracks from all buckets and from the earlier index: files of the index.
4. `rank_group`: candidates of a group's tracks from the nearest cells, by similarity; their density.
5. `damp_group`: the neighbours, with hubs ranked lower; split by buckets.

`bucket_rows` then makes the rows of a bucket. A step that finds its file does nothing, so a killed job resumes.
Without an earlier index, all tracks are new. All is the same to the bit for any number of workers, and for any earlier
index with the same model: products of vectors are exact, and each track is treated independently of how others came.
"""

import dataclasses
import functools

from transforms import storage
from transforms.discovery.index.groups import IndexGroup
from transforms.discovery.index.manifest import IndexSet, read_index_manifest
from transforms.discovery.index.model import IndexModel
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.versions import TableError

NEIGHBOURS_VERSION = 4
"""Raised if and only if the same snapshot gets other neighbours, or the index other files."""

_OPENED = 64
"""Groups that a process has mapped."""


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
      embedding_id: of the tracks; those of other embeddings are left out.
      base: path of the manifest of an earlier index with the same model and settings, of which all that did not change
        is kept; None: everything is computed.
    """

    root: str
    snapshot: int
    work: str
    index: str
    number: int
    neighbours: int
    probes: int
    embedding_id: str
    base: str | None = None

    @property
    def model_path(self) -> str:
        """Path of the model, relative to the root."""
        return f"{self.index}/{self.number}-model.npz"

    def group_path(self, group: int, suffix: str = "arrow") -> str:
        """Path of a file of a group of the index, relative to the root."""
        return f"{self.index}/{self.number}-{group:06d}.{suffix}"

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


@functools.lru_cache(maxsize=_OPENED)
def opened_group(url: str, vectors: str, dimensions: int) -> IndexGroup:
    """A group, mapped once while it is used; files of an index never change."""
    return IndexGroup.opened(url, vectors, dimensions)


def model_of(job: NeighbourJob) -> IndexModel:
    """The model of a job."""
    return opened_model(job.url(job.model_path))


def gathered_group(job: NeighbourJob, group: int) -> IndexGroup:
    """A group of the index that the job makes."""
    urls = (job.url(job.group_path(group, suffix)) for suffix in ("arrow", "vectors"))
    return opened_group(*urls, model_of(job).space.dimensions)


def base_of(job: NeighbourJob) -> IndexSet | None:
    """The set of the earlier index that the job starts from; None if everything is computed."""
    return None if job.base is None else _set_of(job.root, job.base, job.embedding_id)


def base_group(job: NeighbourJob, base: IndexSet, group: int) -> IndexGroup:
    """A group of the earlier index."""
    urls = (job.url(files[group].path) for files in (base.groups, base.vectors))
    return opened_group(*urls, model_of(job).space.dimensions)


@functools.lru_cache(maxsize=16)
def _set_of(root: str, path: str, embedding_id: str) -> IndexSet:
    for one in read_index_manifest(root, path).sets:
        if one.embedding_id == embedding_id:
            return one
    raise TableError(f"{storage.join(root, path)}: it has no tracks with the embedding {embedding_id}")
