"""Tracks that sound most like a vector: through the search index if there is one, else by the exact search.

from transforms.discovery.similar import Wanted, open_finder
from transforms.table.reader import open_snapshot

finder = open_finder(open_snapshot("table"))
vector = finder.vector_of("track-0001")
answer = finder.find(vector, Wanted(limit=10, leave_out=("track-0001",)))
"""

import dataclasses
from typing import Protocol

import numpy as np
import pyarrow as pa

from transforms.discovery.exact import nearest, only
from transforms.discovery.index.duplicates import near_duplicates
from transforms.discovery.index.opening import indexed_space, open_index
from transforms.discovery.index.search import PROBES, SearchIndex
from transforms.discovery.similarity import Float32s, Space, shown_similarities, similarities
from transforms.discovery.vectors import declared_spec, fit_space, track_vectors
from transforms.table.reader import SnapshotReader

_FIRST, _MORE = 3, 4
"""Candidates for each answer in the first search, and the factor of the next one if too few are left."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which tracks are wanted.

    Attributes:
      limit: most tracks.
      allowed: ids of the tracks that may be found; None: all.
      leave_out: ids of tracks that are never found, such as the query itself.
      per_artist: most tracks of one artist; None: any number. A track without artist counts as one of its own.
      with_duplicates: whether near-duplicates of the query and of better answers are kept.
      duration_s: length of the query, for near-duplicates; None if unknown.
    """

    limit: int
    allowed: pa.Array | None = None
    leave_out: tuple[str, ...] = ()
    per_artist: int | None = None
    with_duplicates: bool = False
    duration_s: float | None = None


@dataclasses.dataclass(frozen=True)
class Answers:
    """Tracks, the most similar first.

    Attributes:
      track_ids: their ids.
      similarities: their similarities to the query.
      rows: their rows of `tracks`, in the same order.
      duplicates: number of near-duplicates that were left out on the way.
      same_artist: number of tracks that were left out because of `per_artist`.
    """

    track_ids: tuple[str, ...]
    similarities: tuple[float, ...]
    rows: pa.Table
    duplicates: int
    same_artist: int


class _Candidates(Protocol):
    """Where candidates come from."""

    space: Space

    def nearest(self, vector: Float32s, k: int, allowed: pa.Array | None) -> tuple[list[str], Float32s, Float32s]:
        """Ids of the most similar tracks, their similarities and vectors."""
        ...


class _Indexed:
    def __init__(self, index: SearchIndex, probes: int) -> None:
        self._index, self._probes, self.space = index, probes, index.model.space

    def nearest(self, vector: Float32s, k: int, allowed: pa.Array | None) -> tuple[list[str], Float32s, Float32s]:
        mask = None if allowed is None else self._index.mask(allowed)
        rows, found = self._index.search_rows(vector, k, mask=mask, probes=self._probes)
        return self._index.ids(rows), found, self._index.vectors(rows)


class _Exact:
    def __init__(self, snapshot: SnapshotReader, space: Space) -> None:
        self._snapshot, self.space = snapshot, space

    def nearest(self, vector: Float32s, k: int, allowed: pa.Array | None) -> tuple[list[str], Float32s, Float32s]:
        among = None if allowed is None else only(allowed.to_pylist())
        found = nearest(self._snapshot, self.space, vector[None], k, among)[0]
        ids, vectors = track_vectors(self._snapshot, self.space, found.track_ids)
        places = pa.compute.index_in(pa.array(found.track_ids, pa.string()), value_set=ids)
        return list(found.track_ids), found.similarities, vectors[np.asarray(places)]


@dataclasses.dataclass(frozen=True)
class Finder:
    """Finds similar tracks of a snapshot.

    Attributes:
      snapshot: where tracks are found.
      indexed: whether the search index is used.
    """

    snapshot: SnapshotReader
    indexed: bool
    _candidates: _Candidates

    @property
    def space(self) -> Space:
        """The space of the vectors."""
        return self._candidates.space

    def vector_of(self, track_id: str) -> Float32s | None:
        """The vector of a track, from its embedding and scores: float32 [d]; None if it has none."""
        _, vectors = track_vectors(self.snapshot, self.space, [track_id])
        return vectors[0] if len(vectors) else None

    def find(self, vector: Float32s, wanted: Wanted) -> Answers:
        """The tracks that are most similar to a vector, as far as they are wanted."""
        k = _FIRST * wanted.limit + len(wanted.leave_out)
        while True:
            ids, near, vectors = self._candidates.nearest(vector, k, wanted.allowed)
            found = _chosen(self._rows(ids), ids, near, vectors, wanted)
            if len(found.track_ids) == wanted.limit or len(ids) < k:
                return found
            k *= _MORE

    def _rows(self, ids: list[str]) -> dict[str, dict[str, object]]:
        """Rows of `tracks`; an index of an earlier snapshot may have tracks that are gone."""
        return {row["track_id"]: row for row in self.snapshot.scan("tracks", track_ids=ids).to_pylist()}


def open_finder(
    snapshot: SnapshotReader, embedding_id: str | None = None, *, exact: bool = False, probes: int = PROBES
) -> Finder:
    """Opens the search of a snapshot.

    Args:
      snapshot: where tracks are found.
      embedding_id: the embedding of the query, if the snapshot has several; by default that of its run.
      exact: whether all tracks are compared, even if there is an index.
      probes: cells of the index that a query reads.

    Raises:
      TableError: no track has the embedding, or the index is damaged.
      storage.StorageError: a file is missing, unreadable or damaged.
    """
    embedding_id = embedding_id or snapshot.manifest.run.ids.embedding_id
    if not exact and (index := open_index(snapshot, embedding_id)) is not None:
        return Finder(snapshot, True, _Indexed(index, probes))
    space = indexed_space(snapshot, embedding_id)
    return Finder(
        snapshot, False, _Exact(snapshot, space or fit_space(snapshot, declared_spec(snapshot, embedding_id)))
    )


def _chosen(
    rows: dict[str, dict[str, object]], ids: list[str], near: Float32s, vectors: Float32s, wanted: Wanted
) -> Answers:
    """The candidates that are wanted, in their order."""
    places: list[int] = []
    artists: dict[object, int] = {}
    duplicates = same_artist = 0
    lengths = np.array([np.nan if (row := rows.get(i)) is None else _length(row) for i in ids], np.float32)
    own = np.array([np.nan if wanted.duration_s is None else wanted.duration_s], np.float32)
    for place, track in enumerate(ids):
        if len(places) == wanted.limit:
            break
        if track in wanted.leave_out or track not in rows:
            continue
        if not wanted.with_duplicates and (
            near_duplicates(near[place : place + 1], own, lengths[place : place + 1]).any()
            or near_duplicates(similarities(vectors[place], vectors[places]), lengths[place], lengths[places]).any()
        ):
            duplicates += 1
            continue
        artist = rows[track]["artist_id"]
        if artist is not None and wanted.per_artist is not None:
            if artists.get(artist, 0) == wanted.per_artist:
                same_artist += 1
                continue
            artists[artist] = artists.get(artist, 0) + 1
        places.append(place)
    found = tuple(ids[place] for place in places)
    table = pa.Table.from_pylist([rows[track] for track in found])
    return Answers(found, tuple(shown_similarities(near[places]).tolist()), table, duplicates, same_artist)


def _length(row: dict[str, object]) -> float:
    value = row["duration_s"]
    return value if isinstance(value, float) else np.nan
