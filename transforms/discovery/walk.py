"""A walk from one track to another in small, even steps.

If the snapshot has the table `neighbours`, the walk follows the graph of mutual neighbours, with the least sum of
squared angles between consecutive tracks, see `transforms.discovery.neighbour_graph`. If there is no table, or no walk
of few enough steps:

Between both vectors, evenly spaced points are interpolated on the sphere (Shoemake, 1985). One exact search finds the
tracks that are nearest to each point. Each of them belongs to the point that it is nearest to, so no track comes twice.
Of all walks with one track of each point, the one with the least sum of squared angles is found by dynamic programming.

Both ways, versions of a title count as one track, and so do near-duplicates of the ends.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from transforms.discovery.index.duplicates import near_duplicates
from transforms.discovery.indexed_graph import IndexedGraph
from transforms.discovery.neighbour_graph import NeighbourGraph
from transforms.discovery.playlists.duplicates import recording_keys
from transforms.discovery.playlists.making import duration, track_facts
from transforms.discovery.search.scores import ScoreReader
from transforms.discovery.search.vocabulary import DiscoveryError, Term, vocabulary_of
from transforms.discovery.seeds import vectors_of_seeds
from transforms.discovery.similarity import Float32s, shown_similarities, similarities
from transforms.discovery.track_vectors import TrackVectors
from transforms.table.reader import SnapshotReader

_PER_POINT = 12
_CHANGES = 3

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class TagChange:
    """How a tag changes from the step before: the scores there and here."""

    tag: str
    before: float
    after: float


@dataclasses.dataclass(frozen=True)
class WalkStep:
    """A track of a walk.

    Attributes:
      from_last: similarity to the track before; None for the first one.
      to_first, to_last: similarity to both ends of the walk.
      changes: the tags whose scores change most from the track before.
    """

    track_id: str
    from_last: float | None
    to_first: float
    to_last: float
    changes: tuple[TagChange, ...]
    facts: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Walk:
    """A walk.

    Attributes:
      steps: its tracks, both ends included.
      is_of_neighbours: whether consecutive tracks are mutual neighbours; else it follows the arc.
    """

    steps: tuple[WalkStep, ...]
    is_of_neighbours: bool


def find_walk(
    snapshot: SnapshotReader,
    first: str,
    last: str,
    between: int,
    graph: Callable[[SnapshotReader], "Graph | None"] | None = None,
) -> Walk:
    """The walk with at most `between` tracks between both; fewer, if more would not make its steps smaller.

    Args:
      graph: returns the graph of the snapshot, for callers that keep it. By default, the walk reads that of the search
        index, or the table `neighbours` if the index was made from other rows or is not on a local disk.

    Raises:
      DiscoveryError: a track is not in the snapshot, both are the same, or they cannot be compared.
      StorageError: a file is missing or damaged.
    """
    if first == last:
        raise DiscoveryError(f"track {first}: a walk needs two tracks")
    if between < 1:
        raise DiscoveryError(f"{between} tracks between: give at least 1")
    known = vectors_of_seeds(snapshot, [first, last])
    neighbours = (IndexedGraph.of(known) or NeighbourGraph.of(snapshot)) if graph is None else graph(snapshot)
    tracks = None if neighbours is None else _among_neighbours(neighbours, known, first, last, between)
    found = tracks or [first, *_along_arc(known, first, last, between), last]
    facts = track_facts(snapshot, found)
    return Walk(tuple(_explained(snapshot, found, known.of(found), facts)), tracks is not None)


class Graph(Protocol):
    """A graph of mutual neighbours."""

    def walk(self, first: str, last: str, most_steps: int, without: Collection[str] = ()) -> list[str] | None:
        """See `NeighbourGraph.walk`."""
        ...


def _among_neighbours(graph: Graph, known: TrackVectors, first: str, last: str, between: int) -> list[str] | None:
    """The tracks of a walk of mutual neighbours; None if there is none."""
    without: set[str] = set()
    while (tracks := graph.walk(first, last, between + 1, without)) is not None:
        own, vectors = known.known(tracks)
        gone = {*tracks} - {*own} or _repeated(tracks, vectors, track_facts(known.snapshot, tracks))
        if not gone:
            return tracks
        without |= gone - {first, last}
    return None


def _repeated(tracks: Sequence[str], vectors: Float32s, facts: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """A track between the ends that is another version or a near-duplicate of another track; empty if there is none."""
    lengths = np.array([duration(facts[track]) for track in tracks], np.float32)
    for place, track in enumerate(tracks[1:-1], 1):
        others = [0, *range(1, place), len(tracks) - 1]
        same = near_duplicates(similarities(vectors[place], vectors[others]), lengths[[place]], lengths[others])
        if same.any() or _is_version(facts, track, [tracks[other] for other in others]):
            return {track}
    return set()


def _along_arc(known: TrackVectors, first: str, last: str, between: int) -> list[str]:
    """The tracks between both ends that are nearest to the arc."""
    ends = known.of([first, last])
    points = arc_points(ends[0], ends[1], between)
    found = known.nearest(points, between + _PER_POINT)
    ids = sorted({track for one in found for track in one.track_ids} - {first, last})
    facts = track_facts(known.snapshot, [first, last, *ids])
    ids = [track for track in ids if not _is_version(facts, track, (first, last))]
    vectors = known.of(ids)
    lengths, own = ([np.float32(duration(facts[track])) for track in some] for some in (ids, (first, last)))
    same = near_duplicates(vectors @ ends.T, np.array(lengths, np.float32)[:, None], np.array(own, np.float32))
    apart = ~np.any(same, axis=1, keepdims=True)[:, 0]
    ids, vectors = [track for track, ok in zip(ids, apart, strict=True) if ok], vectors[apart]
    return _without_versions(ids, vectors, points, ends, facts)


def arc_points(first: Float32s, last: Float32s, count: int) -> Float32s:
    """Evenly spaced points between two vectors of unit length on the sphere: float32 [count, d].

    Of opposite vectors, the points of their line are taken, which has no direction in its middle.
    """
    cosine = float(np.clip(np.dot(first.astype(np.float64), last.astype(np.float64)), -1, 1))
    angle = np.arccos(cosine)
    shares = np.arange(1, count + 1)[:, None] / (count + 1)
    if np.sin(angle) < 1e-6:
        points = (1 - shares) * first + shares * last
    else:
        points = (np.sin((1 - shares) * angle) * first + np.sin(shares * angle) * last) / np.sin(angle)
    found: Float32s = points.astype(np.float32)
    return found


def shortest_walk(layers: Sequence[Sequence[int]], vectors: Float32s, ends: Float32s) -> list[int]:
    """One row of `vectors` of each layer that is not empty, so that the sum of squared angles is least."""
    costs, last, came = np.zeros(1), ends[:1], list[tuple[Sequence[int], npt.NDArray[np.int64]]]()
    for rows in layers:
        if not rows:
            continue
        own = vectors[list(rows)]
        total = costs[:, None] + _squared_angles(last, own)
        came.append((rows, total.argmin(axis=0)))
        costs, last = total.min(axis=0), own
    place = int((costs[:, None] + _squared_angles(last, ends[1:])).argmin(axis=0)[0])
    found = []
    for rows, before in reversed(came):
        found.append(rows[place])
        place = int(before[place])
    return found[::-1]


def _squared_angles(vectors: Float32s, others: Float32s) -> _Floats:
    cosines = vectors.astype(np.float64) @ others.T.astype(np.float64)
    found: _Floats = np.square(np.arccos(np.clip(cosines, -1, 1))).round(9)
    return found


def _without_versions(
    ids: Sequence[str], vectors: Float32s, points: Float32s, ends: Float32s, facts: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """The tracks of the shortest walk that has no two versions of one title."""
    near = (vectors @ points.T).argmax(axis=1) if len(ids) else np.zeros(0, np.int64)
    layers = [[row for row in range(len(ids)) if near[row] == point] for point in range(len(points))]
    while True:
        chosen = shortest_walk(layers, vectors, ends)
        versions: set[str] = set()
        for row in chosen:
            keys = recording_keys(facts[ids[row]])
            if keys & versions:
                layers = [[other for other in layer if other != row] for layer in layers]
                break
            versions |= keys
        else:
            return [ids[row] for row in chosen]


def _is_version(facts: Mapping[str, Mapping[str, Any]], track: str, others: Sequence[str]) -> bool:
    return any(recording_keys(facts[track]) & recording_keys(facts[other]) for other in others)


def _explained(
    snapshot: SnapshotReader, tracks: Sequence[str], vectors: Float32s, facts: Mapping[str, Mapping[str, Any]]
) -> list[WalkStep]:
    tags = vocabulary_of(snapshot).taxonomy.tag_ids
    scores = ScoreReader(snapshot, [Term(tag, (tag,)) for tag in tags]).read(tracks, None).scores
    steps = []
    for place, track in enumerate(tracks):
        changes: list[TagChange] = []
        if place:
            order = np.argsort(-np.abs(scores[place] - scores[place - 1]), kind="stable")[:_CHANGES]
            changes = [TagChange(tags[i], float(scores[place - 1, i]), float(scores[place, i])) for i in order]
        near = shown_similarities(similarities(vectors[place], vectors[[place - 1, 0, -1]]))
        last, to_first, to_last = near.tolist()
        steps.append(WalkStep(track, last if place else None, to_first, to_last, tuple(changes), facts[track]))
    return steps
