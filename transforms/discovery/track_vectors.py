"""The tracks of a snapshot as vectors of one space.

They are read from the search index if it was made from the same rows: it has the vectors as the space gave them, so
that answers are the same, and neither embeddings nor tags are read again. Otherwise they are computed.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.discovery.exact import Nearest, nearest, nearest_of
from transforms.discovery.index.opening import indexed_space, open_index
from transforms.discovery.index.search import SearchIndex
from transforms.discovery.similarity import Float32s, SimilaritySpec, Space, similarities
from transforms.discovery.vectors import bucket_vectors, fit_space, track_vectors
from transforms.table.neighbours import is_stale
from transforms.table.reader import SnapshotReader

_ROWS = 16_384
"""Vectors that are compared at once."""

ComparedWith = Callable[[int, pa.Array], npt.NDArray[np.float64]]
"""(bucket, ids of its tracks) -> their similarities to a query: float64 [n]; NaN for a track without a vector."""


@dataclasses.dataclass(frozen=True, eq=False)
class TrackVectors:
    """Vectors of the tracks that have one embedding.

    Attributes:
      space: that of the search index if there is one, also of an earlier snapshot; else one that is fitted.
      index: the search index; None if there is none, or if it was made from other rows.
    """

    snapshot: SnapshotReader
    space: Space
    index: SearchIndex | None

    @classmethod
    def opened(cls, snapshot: SnapshotReader, embedding_id: str) -> "TrackVectors":
        """Opens the index or fits the space.

        Raises:
          TableError: no track has this embedding, or the index is damaged.
          StorageError: a file is missing or damaged.
        """
        if not is_stale(snapshot.manifest.run) and (index := open_index(snapshot, embedding_id)) is not None:
            return cls(snapshot, index.model.space, index)
        space = indexed_space(snapshot, embedding_id)
        return cls(snapshot, space or fit_space(snapshot, SimilaritySpec(embedding_id=embedding_id)), None)

    def known(self, track_ids: Sequence[str]) -> tuple[list[str], Float32s]:
        """Those of some different tracks that have a vector, in their order, and the vectors: float32 [n, d]."""
        if not track_ids:
            return [], np.zeros((0, self.space.dimensions), np.float32)
        if self.index is None:
            ids, vectors = track_vectors(self.snapshot, self.space, sorted(track_ids))
            rows = _places(pa.array(track_ids, pa.string()), ids)
        else:
            rows = _places(pa.array(track_ids, pa.string()), self.index.track_ids)
        own = [track for track, row in zip(track_ids, rows.tolist(), strict=True) if row >= 0]
        rows = rows[rows >= 0]
        return own, vectors[rows] if self.index is None else self.index.vectors(rows)

    def of(self, track_ids: Sequence[str]) -> Float32s:
        """The vectors of tracks that have one, in their order: float32 [n, d]."""
        different = list(dict.fromkeys(track_ids))
        own, vectors = self.known(different)
        place = {track: row for row, track in enumerate(own)}
        return vectors[[place[track] for track in track_ids]]

    def compared(self, query: Float32s | None) -> ComparedWith:
        """The similarities of all tracks to a vector of the space; without a query, 0 for each track with a vector."""
        if self.index is None:
            return lambda bucket, ids: self._compared_bucket(query, bucket, ids)
        index, found = self.index, self._all(self.index, query)

        def of_bucket(bucket: int, ids: pa.Array) -> npt.NDArray[np.float64]:
            places = _places(index.track_ids, ids)
            near = np.full(len(ids), np.nan)
            near[places[places >= 0]] = found[places >= 0]
            return near

        return of_bucket

    def nearest(self, queries: Float32s, k: int) -> list[Nearest]:
        """The k most similar tracks of each query, exactly, see `transforms.discovery.exact.nearest`."""
        if self.index is None:
            return nearest(self.snapshot, self.space, queries, k)
        return nearest_of(_parts(self.index), queries, k)

    def _compared_bucket(self, query: Float32s | None, bucket: int, ids: pa.Array) -> npt.NDArray[np.float64]:
        own, vectors = bucket_vectors(self.snapshot, self.space, bucket)
        places = _places(ids, own)
        near = np.full(len(ids), np.nan)
        has = places >= 0
        near[has] = 0.0 if query is None else similarities(query, vectors[places[has]])
        return near

    def _all(self, index: SearchIndex, query: Float32s | None) -> npt.NDArray[np.float64]:
        """The similarity of each row of the index."""
        if query is None:
            return np.zeros(len(index))
        return np.concatenate([similarities(query, vectors) for _, vectors in _parts(index)], dtype=np.float64)


def _parts(index: SearchIndex) -> Iterator[tuple[pa.Array, Float32s]]:
    """Ids and vectors of the rows of an index, in their order."""
    for group in index.groups:
        for start in range(0, len(group), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(group)))  # rows of `gs://` are read by their numbers
            yield group.track_ids[start : start + _ROWS], group.vectors[rows].astype(np.float32)


def _places(values: pa.Array | pa.ChunkedArray, among: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Where each value is among others, or -1."""
    found = pc.fill_null(pc.index_in(values, value_set=among), -1)
    return np.asarray(
        found.to_numpy(zero_copy_only=False) if isinstance(found, pa.Array) else found.to_numpy(), np.int64
    )
