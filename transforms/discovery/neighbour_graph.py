"""The graph of mutual neighbours: two tracks are joined if each is among the other's rows of the table `neighbours`.

A pair that only one side names is often a hub, or lies between groups of tracks; without such pairs, a walk stays
within what sounds alike (Brito et al., 1997). Near-duplicates are not joined.
"""

import dataclasses
from collections.abc import Collection, Iterator
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.discovery.index.cells import Int64s
from transforms.table.neighbours import NEIGHBOURS_TABLE
from transforms.table.reader import TRACK_ID, SnapshotReader

_ROWS_AT_ONCE = 2_000_000
_COLUMNS = [TRACK_ID, "neighbour_id", "similarity", "is_duplicate"]


@dataclasses.dataclass(frozen=True, eq=False)
class NeighbourGraph:
    """The graph; each edge is stored in both directions.

    Attributes:
      track_ids: its tracks, ascending.
      firsts: first edge of each track, and the number of edges: int64 [tracks + 1].
      ends: the other track of each edge: int32 [edges].
      costs: squared angle between both tracks: float32 [edges].
    """

    track_ids: pa.Array
    firsts: Int64s
    ends: npt.NDArray[np.int32]
    costs: npt.NDArray[np.float32]

    @classmethod
    def of(cls, snapshot: SnapshotReader) -> Self | None:
        """The graph of a snapshot; None if it has no table `neighbours`.

        Raises:
          StorageError: a file is missing or damaged.
        """
        if not snapshot.live_files(NEIGHBOURS_TABLE):
            return None
        names = snapshot.batches(NEIGHBOURS_TABLE, [TRACK_ID])
        ids = pa.chunked_array([pc.unique(batch[TRACK_ID]) for batch in names], pa.string()).unique()
        ids = ids.take(pc.sort_indices(ids))
        parts = list(_pairs(snapshot, ids))
        if not parts:
            return cls(ids, np.zeros(len(ids) + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
        keys, costs = (np.concatenate(values) for values in zip(*parts, strict=True))
        order = np.argsort(keys, kind="stable")
        keys, costs = keys[order], costs[order]
        mutual = np.flatnonzero(keys[1:] == keys[:-1])
        low, high = np.divmod(keys[mutual], len(ids))
        starts, ends = np.concatenate([low, high]), np.concatenate([high, low])
        order = np.argsort(starts, kind="stable")
        firsts = np.concatenate([[0], np.cumsum(np.bincount(starts, minlength=len(ids)))])
        return cls(ids, firsts, ends[order].astype(np.int32), np.tile(costs[mutual], 2)[order])

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return int(self.track_ids.nbytes + self.firsts.nbytes + self.ends.nbytes + self.costs.nbytes)

    def walk(self, first: str, last: str, most_steps: int, without: Collection[str] = ()) -> list[str] | None:
        """The walk between two tracks with the least sum of squared angles, of at most so many steps.

        Found by the algorithm of Bellman and Ford, step by step from the first track. Tracks that are too many steps
        away from the last one, or already cost more than a known walk, are left out. Of equal walks, the one with the
        lower ids from the end on is taken.

        Args:
          first, last: its ends.
          most_steps: most edges.
          without: tracks that it does not use.

        Returns:
          The ids with both ends; None if there is no such walk.
        """
        begin, end = (pc.index(self.track_ids, track).as_py() for track in (first, last))
        if begin < 0 or end < 0:
            return None
        closed = np.zeros(len(self.track_ids), np.bool_)
        gone = pc.index_in(pa.array(sorted(without), pa.string()), value_set=self.track_ids).drop_null()
        closed[np.asarray(gone)] = True
        far = self._steps_to(end, most_steps, closed)
        cost = np.full(len(closed), np.inf)
        cost[begin] = 0.0
        layers: list[tuple[Int64s, Int64s]] = []
        reached = np.array([begin])
        for left in reversed(range(most_steps)):
            starts, edges = self._edges(reached)
            ends, values = self.ends[edges].astype(np.int64), cost[starts] + self.costs[edges]
            better = (far[ends] <= left) & (values < cost[ends]) & (values < cost[end])
            starts, ends, values = starts[better], ends[better], values[better]
            order = np.lexsort((starts, values, ends))
            ends, places = np.unique(ends[order], return_index=True)
            chosen = order[places]
            cost[ends] = values[chosen]
            layers.append((ends, starts[chosen]))
            reached = ends[ends != end]
            if not len(reached):
                break
        if not np.isfinite(cost[end]):
            return None
        walk: list[str] = self.track_ids.take(pa.array(walk_back(layers, end))).to_pylist()
        return walk

    def _steps_to(self, end: int, most: int, closed: npt.NDArray[np.bool_]) -> Int64s:
        """The number of edges from each track to one of them; `most + 1` if it is greater: int64 [tracks]."""
        found = np.full(len(closed), most + 1)
        found[end] = 0
        reached = np.array([end])
        for steps in range(1, most + 1):
            _, edges = self._edges(reached)
            ends = np.unique(self.ends[edges])
            reached = ends[(found[ends] > most) & ~closed[ends]].astype(np.int64)
            found[reached] = steps
            if not len(reached):
                break
        return found

    def _edges(self, tracks: Int64s) -> tuple[Int64s, Int64s]:
        """The edges of some tracks: the track of each, and the edge."""
        sizes = self.firsts[tracks + 1] - self.firsts[tracks]
        ends = np.cumsum(sizes)
        edges = np.arange(ends[-1] if len(ends) else 0) + np.repeat(self.firsts[tracks] - ends + sizes, sizes)
        return np.repeat(tracks, sizes), edges


def _pairs(snapshot: SnapshotReader, ids: pa.Array) -> Iterator[tuple[Int64s, npt.NDArray[np.float32]]]:
    """Keys and costs of the rows of `neighbours`. Both directions of a pair have the same key."""
    waiting: list[pa.RecordBatch] = []
    for batch in snapshot.batches(NEIGHBOURS_TABLE, _COLUMNS):
        waiting.append(batch.filter(pc.invert(batch["is_duplicate"])))
        if sum(len(one) for one in waiting) >= _ROWS_AT_ONCE:
            yield _pair_keys(pa.Table.from_batches(waiting), ids)
            waiting = []
    if waiting:
        yield _pair_keys(pa.Table.from_batches(waiting), ids)


def _pair_keys(rows: pa.Table, ids: pa.Array) -> tuple[Int64s, npt.NDArray[np.float32]]:
    own, other = (
        np.asarray(pc.fill_null(pc.index_in(rows[name], value_set=ids), -1), np.int64)
        for name in (TRACK_ID, "neighbour_id")
    )
    has = other >= 0
    keys = np.minimum(own, other) * len(ids) + np.maximum(own, other)
    return keys[has], squared_angles(np.asarray(rows["similarity"]))[has]


def squared_angles(near: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Squared angles of pairs by their similarities: float32 [n]."""
    angles = np.arccos(np.clip(near.astype(np.float64), -1, 1))
    return np.square(angles).astype(np.float32)


def walk_back(layers: list[tuple[Int64s, Int64s]], end: int) -> list[int]:
    """The walk, from the tracks that each step reached and the tracks that it came from."""
    found = [end]
    while layers:
        ends, starts = layers.pop()
        place = int(np.searchsorted(ends, found[-1]))
        if place < len(ends) and ends[place] == found[-1]:
            found.append(int(starts[place]))
    return found[::-1]
