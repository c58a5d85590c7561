"""Search in an opened index: cells near the query, estimates from codes, and an exact comparison of the best."""

import bisect
import concurrent.futures
import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.discovery.exact import Nearest
from transforms.discovery.index.cells import Int64s, probed_cells
from transforms.discovery.index.codes import CodedQuery
from transforms.discovery.index.groups import IndexGroup
from transforms.discovery.index.model import IndexModel
from transforms.discovery.index.rows import RangedRows, readers
from transforms.discovery.similarity import Float32s, similarities

Mask = npt.NDArray[np.bool_]

PROBES = 16
"""Cells that a query reads by default."""

COMPARED_EACH = 40
"""Tracks that are compared exactly, for each result."""

MOST_SCANNED = 16_384
"""If a filter leaves no more tracks than this, the codes of all of them are read and no cell is left out."""


@dataclasses.dataclass(frozen=True, eq=False)
class SearchIndex:
    """An index in memory: its codes; vectors and ids are mapped, and read where they are needed.

    Attributes:
      codes: uint64 [words, n].
      factors: float32 [n].
      firsts: first row of each cell, and the number of rows: int64 [cells + 1].
      offsets: first row of each group, and the number of rows: int64 [groups + 1].
    """

    model: IndexModel
    groups: Sequence[IndexGroup]
    codes: npt.NDArray[np.uint64]
    factors: Float32s
    firsts: Int64s
    offsets: Int64s

    @classmethod
    def of(cls, model: IndexModel, groups: Sequence[IndexGroup]) -> "SearchIndex":
        """The index of all groups, in their order."""
        counts = np.zeros(len(model.centres), np.int64)
        for group in groups:
            counts += np.bincount(group.cells, minlength=len(counts))
        codes = np.empty((model.turn.shape[1] // 64, int(counts.sum())), np.uint64)
        offsets = np.concatenate([[0], np.cumsum([len(group.cells) for group in groups])]).astype(np.int64)
        for start, group in zip(offsets, groups, strict=False):
            codes[:, start : start + len(group.cells)] = group.codes.T
        factors = np.concatenate([group.factors for group in groups])
        return cls(model, groups, codes, factors, np.concatenate([[0], np.cumsum(counts)]), offsets)

    def __len__(self) -> int:
        return int(self.offsets[-1])

    @functools.cached_property
    def track_ids(self) -> pa.ChunkedArray:
        """The id of each row."""
        return pa.chunked_array([group.track_ids for group in self.groups], pa.string())

    def mask(self, track_ids: pa.Array | pa.ChunkedArray) -> Mask:
        """Which rows are these tracks, for `search`: bool [n]."""
        return np.asarray(pc.is_in(self.track_ids, value_set=track_ids).to_numpy())

    def row(self, track_id: str) -> int | None:
        """The row of a track; None if the index does not have it."""
        order = self._by_id
        place = bisect.bisect_left(order, track_id, key=self._id)
        return int(order[place]) if place < len(order) and self._id(order[place]) == track_id else None

    def _id(self, row: np.uint32) -> str:
        return self.ids(np.array([row], np.int64))[0]

    @functools.cached_property
    def _by_id(self) -> npt.NDArray[np.uint32]:
        """The rows in the order of their ids. Made when a track is first looked for, in half a second for 1,000,000."""
        return np.asarray(pc.sort_indices(self.track_ids)).astype(np.uint32)

    def vectors(self, rows: Int64s) -> Float32s:
        """Vectors of rows, exactly as the space gave them: float32 [n, d]."""
        found = np.empty((len(rows), self.model.space.dimensions), np.float32)
        order = np.argsort(rows, kind="stable")
        bounds = np.searchsorted(rows[order], self.offsets)
        parts = [(n, order[bounds[n] : bounds[n + 1]]) for n in np.flatnonzero(np.diff(bounds)).tolist()]

        def read(part: tuple[int, Int64s]) -> None:
            number, own = part
            found[own] = self.groups[number].vectors[rows[own] - self.offsets[number]]

        if len(parts) > 1 and isinstance(self.groups[0].vectors, RangedRows):
            list(self._readers.map(read, parts))  # one request after another would take too long
        else:
            for part in parts:
                read(part)
        return found

    @functools.cached_property
    def _readers(self) -> concurrent.futures.ThreadPoolExecutor:
        return readers()

    def ids(self, rows: Int64s) -> list[str]:
        """Ids of a few rows. `ChunkedArray.take` would copy the ids of all tracks."""
        return [group.track_ids[place].as_py() for group, place in self._places(rows)]

    def durations(self, rows: Int64s) -> Float32s:
        """Durations of a few rows in seconds, NaN if unknown."""
        return np.array([group.durations[place] for group, place in self._places(rows)], np.float32)

    def _places(self, rows: Int64s) -> Iterator[tuple[IndexGroup, int]]:
        """The group of each row, and its place there."""
        numbers = np.searchsorted(self.offsets, rows, side="right") - 1
        places = rows - self.offsets[numbers]
        return ((self.groups[n], place) for n, place in zip(numbers.tolist(), places.tolist(), strict=True))

    def search(self, query: Float32s, k: int, *, mask: Mask | None = None, probes: int = PROBES) -> Nearest:
        """The most similar tracks of a query: similarity descending, then track_id.

        Args:
          query: a vector of the space: float32 [d].
          k: most results.
          mask: rows that may be found; all by default.
          probes: cells that are read, if a filter does not leave few tracks: more find more of the nearest.
        """
        rows, found = self.search_rows(query, k, mask=mask, probes=probes)
        return Nearest(tuple(self.ids(rows)), found)

    def search_rows(
        self, query: Float32s, k: int, *, mask: Mask | None = None, probes: int = PROBES
    ) -> tuple[Int64s, Float32s]:
        """The rows of `search` and their similarities."""
        near = self.model.centres @ query
        rows, cells = self._rows(near, mask, probes)
        coded = CodedQuery.of(query, self.model.turn)
        estimates = coded.estimates(self.codes[:, rows], self.factors[rows]) + near[cells]
        if len(rows) > (most := COMPARED_EACH * k):
            rows = rows[np.argpartition(-estimates, most)[:most]]
        found = similarities(query, self.vectors(rows))
        if len(rows) > k:
            least = np.partition(found, -k)[-k]
            rows, found = rows[found >= least], found[found >= least]
        order = np.lexsort((np.array(self.ids(rows), str), -found))[:k]
        return rows[order], found[order]

    def _rows(self, near: Float32s, mask: Mask | None, probes: int) -> tuple[Int64s, Int64s]:
        """Rows to estimate and their cells."""
        if mask is not None and (allowed := np.flatnonzero(mask)).size <= MOST_SCANNED:
            return allowed, np.searchsorted(self.firsts, allowed, side="right") - 1
        if mask is not None:  # as many tracks as without a filter
            probes = math.ceil(probes * len(mask) / allowed.size)
        probed = probed_cells(near, probes)
        starts, sizes = self.firsts[probed], np.diff(self.firsts)[probed]
        ends = np.cumsum(sizes)
        rows = np.arange(ends[-1]) + np.repeat(starts - ends + sizes, sizes)
        cells = np.repeat(probed, sizes)
        if mask is None:
            return rows, cells
        kept = mask[rows]
        return rows[kept], cells[kept]
