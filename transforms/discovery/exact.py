"""Exact search: the most similar tracks of a whole snapshot, with one bucket in memory."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.discovery.similarity import Float32s, Space, similarities
from transforms.discovery.vectors import bucket_vectors
from transforms.table.reader import SnapshotReader

Allowed = Callable[[int, pa.Array], npt.NDArray[np.bool_]]
"""(bucket, its track ids) -> which of them may be found: bool [n]."""

_ROWS, _QUERIES = 4_096, 64
"""Vectors and queries of one matrix product."""

_MARGIN = np.float32(1e-5)
"""How far a float32 product may be from the exact one: candidates within it are compared exactly."""


@dataclasses.dataclass(frozen=True, eq=False)
class Nearest:
    """The most similar tracks of one query: similarity descending, then track_id.

    Attributes:
      track_ids: at most k ids.
      similarities: rounded to 1e-6: float32 [at most k].
    """

    track_ids: tuple[str, ...]
    similarities: Float32s


def nearest(
    snapshot: SnapshotReader, space: Space, queries: Float32s, k: int, allowed: Allowed | None = None
) -> list[Nearest]:
    """The k most similar tracks of each query, exactly; a track in the catalog finds itself.

    Args:
      snapshot: its tracks with the embedding of the space are compared.
      space: fitted to this snapshot or to an earlier one.
      queries: vectors of the space: float32 [q, d].
      k: number of results, at least 1.
      allowed: which tracks may be found; all by default.

    Raises:
      storage.StorageError: a file is missing, unreadable or damaged.
    """
    parts = (bucket_vectors(snapshot, space, bucket) for bucket in range(snapshot.buckets))
    if allowed is not None:
        masked = ((ids, vectors, allowed(bucket, ids)) for bucket, (ids, vectors) in enumerate(parts))
        parts = ((ids.filter(pa.array(mask)), vectors[mask]) for ids, vectors, mask in masked)
    return nearest_of(parts, queries, k)


def nearest_of(parts: Iterable[tuple[pa.Array, Float32s]], queries: Float32s, k: int) -> list[Nearest]:
    """The k most similar of tracks that come in parts: ids and vectors float32 [n, d]. See `nearest`."""
    if k < 1:
        raise ValueError(f"k={k}: at least 1")
    best = [Nearest((), np.zeros(0, np.float32)) for _ in queries]
    for ids, vectors in parts:
        for number, rows in _candidates(vectors, queries, k):
            found = similarities(queries[number], vectors[rows])
            best[number] = _merged(best[number], ids.take(pa.array(rows)).to_pylist(), found, k)
    return best


def only(track_ids: Iterable[str]) -> Allowed:
    """Allows the tracks of these ids."""
    wanted = pa.array(sorted(set(track_ids)), pa.string())
    return lambda _, ids: np.asarray(pa.compute.is_in(ids, value_set=wanted))


def _candidates(vectors: Float32s, queries: Float32s, k: int) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """(query, rows among which its k most similar of each block are)."""
    for start in range(0, len(vectors), _ROWS):
        block = vectors[start : start + _ROWS]
        for first in range(0, len(queries), _QUERIES):
            products = queries[first : first + _QUERIES] @ block.T
            least = products.min(1) if len(block) <= k else np.partition(products, -k, axis=1)[:, -k]
            for offset, row in enumerate(products):
                yield first + offset, start + np.flatnonzero(row >= least[offset] - _MARGIN)


def _merged(best: Nearest, ids: list[str], found: Float32s, k: int) -> Nearest:
    names = np.array([*best.track_ids, *ids], object)
    values = np.concatenate([best.similarities, found])
    order = np.lexsort((names.astype(str), -values))[:k]
    return Nearest(tuple(names[order].tolist()), values[order])
