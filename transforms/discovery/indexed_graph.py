"""The graph of mutual neighbours in the search index: a walk reads the tracks that it visits, and no others.

The index has the neighbours of each track as numbers, and their similarities. It is mapped, so it serves on a local
disk. All answers are those of `transforms.discovery.neighbour_graph`, which reads the table.
"""

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms import storage
from transforms.discovery.index.candidates import NO_CANDIDATE, candidate_rows
from transforms.discovery.index.cells import Int64s
from transforms.discovery.index.duplicates import near_duplicates
from transforms.discovery.index.job import NEIGHBOURS_VERSION
from transforms.discovery.index.opening import index_set
from transforms.discovery.index.pieces import lists_of
from transforms.discovery.index.row_numbers import group_and_place
from transforms.discovery.index.search import SearchIndex
from transforms.discovery.neighbour_graph import squared_angles, walk_back
from transforms.discovery.similarity import Float32s
from transforms.discovery.track_vectors import TrackVectors
from transforms.storage.mapped import mapped

_MORE = 1.5
"""Factor of the limit of the next attempt."""

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class IndexedGraph:
    """The graph of one embedding. A track is a row of the index.

    Attributes:
      index: the search index.
      batches: of each group: `keys`, `chosen` and `similarity`, see `transforms.discovery.index.damping`.
    """

    index: SearchIndex
    batches: Sequence[pa.RecordBatch]

    @classmethod
    def of(cls, known: TrackVectors) -> "IndexedGraph | None":
        """The graph of the index that some vectors come from; None if it does not have it, or is not mapped.

        Raises:
          TableError: the index is damaged.
          StorageError: a file is missing or unreadable.
        """
        snapshot, index = known.snapshot, known.index
        record = snapshot.manifest.run.neighbours
        if index is None or "://" in snapshot.root or record["settings"]["version"] != NEIGHBOURS_VERSION:
            return None
        own = index_set(snapshot, index.model.space.spec.embedding_id)
        files = [] if own is None else own.candidates
        data = [pa.py_buffer(mapped(storage.join(snapshot.root, file.path))) for file in files]
        return cls(index, [pa.ipc.open_file(one).get_batch(0) for one in data])

    def walk(self, first: str, last: str, most_steps: int, without: Collection[str] = ()) -> list[str] | None:
        """See `NeighbourGraph.walk`.

        Walks are tried up to a limit of their sum of squared angles, which grows until one is found. From the last
        track, the sums of all tracks within half of the limit are found. No walk within the limit visits another track
        after the first half of it.
        """
        begin, end = self.index.row(first), self.index.row(last)
        if begin is None or end is None:
            return None
        rows = (self.index.row(track) for track in without)
        closed = np.array(sorted(row for row in rows if row is not None), np.int64)
        limit = float(squared_angles(self._direct(begin, end))[0]) / most_steps
        while True:
            search = _Search(self, begin, end, most_steps, closed, max(limit, 1e-6))
            found = search.walk()
            if found is not None:
                return self.index.ids(np.array(found))
            if search.is_whole:
                return None
            limit *= _MORE

    def _direct(self, begin: int, end: int) -> Float32s:
        vectors = self.index.vectors(np.array([begin, end]))
        return np.array([vectors[0] @ vectors[1]], np.float32)

    def edges(self, rows: Int64s) -> tuple[Int64s, Int64s, Float32s]:
        """The edges of some tracks, in their order: one end, the other end, and their squared angle."""
        others, near = self._neighbours(rows)
        row, place = np.nonzero(others >= 0)
        ends = others[row, place]
        different, back = np.unique(ends, return_inverse=True)
        is_mutual = (self._neighbours(different)[0][back] == rows[row, None]).any(1)
        lengths = self._durations(rows)[row], self._durations(different)[back]
        is_edge = is_mutual & ~near_duplicates(near[row, place], *lengths)
        row, place, ends = row[is_edge], place[is_edge], ends[is_edge]
        return rows[row], ends, squared_angles(near[row, place])

    def _neighbours(self, rows: Int64s) -> tuple[Int64s, Float32s]:
        """Neighbours of some tracks, -1 for none, and their similarities: [n, k] each."""
        numbers = np.searchsorted(self.index.offsets, rows, side="right") - 1
        width = self.batches[0]["chosen"].type.list_size
        found, near = np.full((len(rows), width), -1), np.zeros((len(rows), width), np.float32)
        for number in np.unique(numbers).tolist():
            own, batch = np.flatnonzero(numbers == number), self.batches[number]
            places = rows[own] - self.index.offsets[number]
            chosen = lists_of(batch["chosen"])[places].astype(np.int64)
            keys = lists_of(batch["keys"])[places[:, None], np.maximum(chosen, 0)]
            groups, there = group_and_place(candidate_rows(np.where(chosen < 0, NO_CANDIDATE, keys)))
            found[own] = np.where(chosen < 0, -1, self.index.offsets[groups] + there)
            near[own] = lists_of(batch["similarity"])[places]
        return found, near

    def _durations(self, rows: Int64s) -> Float32s:
        numbers = np.searchsorted(self.index.offsets, rows, side="right") - 1
        found = np.zeros(len(rows), np.float32)
        for number in np.unique(numbers).tolist():
            own = numbers == number
            found[own] = self.index.groups[number].durations[rows[own] - self.index.offsets[number]]
        return found


class _Costs:
    """The least cost of each track that was reached. Pages of tracks that were not take no memory."""

    def __init__(self, tracks: int) -> None:
        self._costs, self._known = np.zeros(tracks), np.zeros(tracks, np.bool_)

    def of(self, rows: Int64s, other: float = np.inf) -> _Floats:
        """Costs, and another value for tracks that were not reached."""
        return np.where(self._known[rows], self._costs[rows], other)

    def set(self, rows: Int64s, costs: _Floats) -> None:
        """Sets the costs of different tracks."""
        self._costs[rows], self._known[rows] = costs, True


class _Search:
    """The search for a walk within a limit.

    Attributes:
      is_whole: whether no longer walk was left out.
    """

    def __init__(
        self, graph: IndexedGraph, begin: int, end: int, most_steps: int, closed: Int64s, limit: float
    ) -> None:
        self._graph, self._begin, self._end = graph, begin, end
        self._most, self._closed, self._limit, self.is_whole = most_steps, closed, limit, True
        self._left = self._costs_to_end()

    def _costs_to_end(self) -> _Costs:
        """The costs from tracks to the end, up to half of the limit."""
        found, reached = _Costs(len(self._graph.index)), np.array([self._end])
        found.set(reached, np.zeros(1))
        for _ in range(self._most):
            _, ends, values = self._edges(reached, found)
            better = (values < found.of(ends)) & (values <= self._limit / 2)
            order = np.lexsort((values[better], ends[better]))
            reached, places = np.unique(ends[better][order], return_index=True)
            found.set(reached, values[better][order][places])
            if not len(reached):
                break
        return found

    def walk(self) -> list[int] | None:
        """Rows of the walk; None if there is none within the limit."""
        costs, reached, layers = _Costs(len(self._graph.index)), np.array([self._begin]), list[tuple[Int64s, Int64s]]()
        costs.set(reached, np.zeros(1))
        goal = np.array([self._end])
        for left in reversed(range(self._most)):
            starts, ends, values = self._edges(reached, costs)
            better = (values < costs.of(ends)) & (values < costs.of(goal)) & ((ends == self._end) | (left > 0))
            within = values + self._left.of(ends, self._limit / 2) <= self._limit * (1 + 1e-9)
            self.is_whole &= not (better & ~within).any()
            better &= within
            starts, ends, values = starts[better], ends[better], values[better]
            order = np.lexsort((self._ranks(starts), values, ends))
            ends, places = np.unique(ends[order], return_index=True)
            chosen = order[places]
            costs.set(ends, values[chosen])
            layers.append((ends, starts[chosen]))
            reached = ends[ends != self._end]
            if not len(reached):
                break
        return walk_back(layers, self._end) if np.isfinite(costs.of(goal)[0]) else None

    def _edges(self, reached: Int64s, costs: _Costs) -> tuple[Int64s, Int64s, _Floats]:
        """Edges of tracks that were reached: both ends, without closed ones, and the cost with the edge."""
        starts, ends, values = self._graph.edges(reached)
        is_open = ~np.isin(ends, self._closed)
        return starts[is_open], ends[is_open], costs.of(starts[is_open]) + values[is_open]

    def _ranks(self, rows: Int64s) -> Int64s:
        """Ranks of tracks by their ids."""
        different, back = np.unique(rows, return_inverse=True)
        ranks = np.argsort(np.argsort(np.array(self._graph.index.ids(different), str), kind="stable"))
        return ranks[back]
