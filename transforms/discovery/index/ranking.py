"""The candidates of a group's tracks: the most similar tracks of the cells near to theirs."""

import collections
import functools
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms import storage
from transforms.discovery.index.assigning import Moves
from transforms.discovery.index.candidates import (
    NO_CANDIDATE,
    best,
    candidate_rows,
    lengths,
    merged,
    products_of,
    with_rows,
)
from transforms.discovery.index.cells import Int64s, probed_cells
from transforms.discovery.index.groups import IndexGroup
from transforms.discovery.index.job import NeighbourJob, base_of, gathered_group, model_of
from transforms.discovery.index.pieces import fixed_lists, lists_of, read_facts, read_piece, write_pieces
from transforms.discovery.index.row_numbers import RowValues, group_and_place, row_of
from transforms.discovery.similarity import Float32s, on_grid

CANDIDATES_EACH = 3
"""Candidates for each neighbour, among which hubs are ranked lower."""

SPARE = 12
"""Further candidates that are kept, so that a later job can lose some of them and has enough all the same."""

DENSITY = 10
"""Candidates over which the mean similarity of a track is taken."""

DENSITY_UNITS = math.lcm(*range(1, DENSITY + 1))
"""Multiplied by this, the mean of at most `DENSITY` whole numbers is a whole number."""

_KEPT = 256
"""Groups of which small values stay in memory."""

_KEPT_BYTES = 128 << 20
"""Bytes of vectors on the grid that stay in memory."""

_MOST_PRODUCTS = 1 << 22
"""Products that are in memory at once, if one row has no more."""

GONE = -2
"""In place of the row of a track that is no longer the same."""


class Groups:
    """The groups of a finished index, and what became of the earlier ones.

    Args:
      job: whose index it is.
    """

    def __init__(self, job: NeighbourJob) -> None:
        self.job, self.model, self.base = job, model_of(job), base_of(job)
        self._owners = self.model.groups_of(np.arange(len(self.model.centres))).tolist()
        self._starts = self.model.starts.tolist()

    def group(self, number: int) -> IndexGroup:
        """A group of the index."""
        return gathered_group(self.job, number)

    def moves(self, number: int) -> Moves:
        """What became of the tracks of a group."""
        return _moves(self.job, number)

    def cells(self, group: int) -> range:
        """The cells of a group."""
        return range(self._starts[group], self._starts[group + 1])

    def cell(self, cell: int) -> tuple[int, slice]:
        """The group of a cell, and the places of its tracks there."""
        number = self._owners[cell]
        first = cell - self._starts[number]
        start, stop = self.moves(number).bounds[first : first + 2]
        return number, slice(start, stop)

    def near(self, cell: int) -> list[int]:
        """The cells from which the candidates of a cell's tracks come, the nearest first."""
        return _near_cells(self.job, cell)

    def near_groups(self, group: int) -> list[int]:
        """The groups from which the candidates of a group's tracks come, ascending."""
        return sorted({self._owners[near] for cell in self.cells(group) for near in self.near(cell)})

    def is_changed(self, cell: int) -> bool:
        """Whether a cell has other tracks than before."""
        return cell in self.moves(self._owners[cell]).changed

    def is_untouched(self, group: int) -> bool:
        """Whether no cell from which candidates of a group's tracks come has other tracks than before."""
        return self.base is not None and not any(self.moves(one).changed for one in self.near_groups(group))

    def base_piece(self, group: int, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """What the earlier index says of the candidates of a group; there must be one."""
        assert self.base is not None
        return read_piece(self.job.url(self.base.candidates[group].path), 0, columns)

    def rows(self, cell: int) -> Int64s:
        """Rows of the tracks of a cell."""
        number, places = self.cell(cell)
        return row_of(number, np.arange(places.start, places.stop))

    def is_new(self, cell: int) -> npt.NDArray[np.bool_]:
        """Whether the tracks of a cell are not in the earlier index as they are."""
        number, places = self.cell(cell)
        return np.asarray(self.moves(number).origins[places] < 0)

    def new_tracks(self, cells: Sequence[int]) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
        """(cell, which of its tracks are new) for those of the cells that have new ones."""
        for cell in cells:
            if self.is_changed(cell) and (new := self.is_new(cell)).any():
                yield cell, new

    def size(self, cells: Sequence[int]) -> int:
        """Number of tracks of cells."""
        places = (self.cell(cell)[1] for cell in cells)
        return sum(own.stop - own.start for own in places)

    def earlier_size(self, cells: Sequence[int]) -> int:
        """Number of tracks that cells had in the earlier index."""
        sizes = (self.moves(self._owners[cell]).sizes[cell - self._starts[self._owners[cell]]] for cell in cells)
        return sum(sizes)

    def vectors(self, cell: int) -> Float32s:
        """Vectors of the tracks of a cell on the grid: float32 [n, d]."""
        return _kept_vectors(self.job).of(cell, lambda: self._vectors(cell))

    def _vectors(self, cell: int) -> Float32s:
        number, places = self.cell(cell)
        return on_grid(self.group(number).vectors[places])

    def by_group(self, rows: Int64s) -> Iterator[tuple[int, Int64s, Int64s]]:
        """(group, which of the rows are in it, their places in it) for each group of the rows."""
        order = np.argsort(rows, kind="stable")
        numbers, places = group_and_place(rows[order])
        found, firsts = np.unique(numbers, return_index=True)
        for number, start, stop in zip(found.tolist(), firsts, np.append(firsts, len(order))[1:], strict=True):
            yield number, order[start:stop], places[start:stop]

    def moved_keys(self, group: int, keys: Int64s) -> Int64s:
        """Keys of a group of the earlier index with today's rows; `NO_CANDIDATE` for tracks that are not the same."""
        if not keys.size:
            return keys
        places = {number: self.moves(number).places for number in self.near_groups(group)}
        moved = RowValues({number: np.where(own < 0, -1, row_of(number, own)) for number, own in places.items()})
        return with_rows(keys, moved.of(candidate_rows(keys)))


class _KeptVectors:
    """Vectors of the cells that were used last; threads share them."""

    def __init__(self) -> None:
        self._cells: collections.OrderedDict[int, Float32s] = collections.OrderedDict()
        self._bytes, self._lock = 0, threading.Lock()

    def of(self, cell: int, read: Callable[[], Float32s]) -> Float32s:
        """Those of a cell, read where they are not in memory."""
        with self._lock:
            found = self._cells.get(cell)
            if found is not None:
                self._cells.move_to_end(cell)
                return found
        found = read()
        with self._lock:
            if self._cells.setdefault(cell, found) is found:
                self._bytes += found.nbytes
            while self._bytes > _KEPT_BYTES and len(self._cells) > 1:
                self._bytes -= self._cells.popitem(last=False)[1].nbytes
        return found


@functools.lru_cache(maxsize=1)
def _kept_vectors(job: NeighbourJob) -> _KeptVectors:
    return _KeptVectors()


@functools.lru_cache(maxsize=4 * _KEPT)
def _near_cells(job: NeighbourJob, cell: int) -> list[int]:
    grid = model_of(job).grid
    found: list[int] = probed_cells(grid @ grid[cell], job.probes).tolist()
    return found


@functools.lru_cache(maxsize=_KEPT)
def _moves(job: NeighbourJob, group: int) -> Moves:
    return Moves.of(job, base_of(job), group)


def rank_group(job: NeighbourJob, group: int) -> Mapping[str, int]:
    """Writes the candidates of a group's tracks, as keys, the best first; and in another file their densities.

    `keys` are of as many candidates as `kept` says, and of up to `SPARE` further ones. `before` are the rows of the
    neighbours in the earlier index, see `EarlierCandidates`. If no candidate changed, neither is written.

    Returns:
      `cells_same`: cells none of whose candidates changed; `cells_updated`: the others. `tracks_compared`: tracks that
      were compared with all candidates; `tracks_merged`: those that were compared with new candidates alone.
    """
    url = job.part("ranked", group)
    if storage.exists(url):
        return read_facts(url)
    groups, facts = Groups(job), dict.fromkeys(("cells_same", "cells_updated", "tracks_compared", "tracks_merged"), 0)
    if groups.is_untouched(group):
        facts["cells_same"] = sum(groups.size([cell]) > 0 for cell in groups.cells(group))
        density = groups.base_piece(group, ["density"])["density"]
        write_pieces(job.part("density", group), pa.table({"density": density}), None, 1, {"stirred": 0})
        write_pieces(url, pa.table({}), None, 1, facts)
        return facts
    earlier = EarlierCandidates(groups, group)
    keys = earlier.keys.copy()
    for cell in groups.cells(group):
        places = groups.cell(cell)[1]
        if places.start < places.stop:
            keys[places] = _cell_keys(groups, cell, earlier, facts)
    density = _density(keys)
    stirred = int((density != earlier.density).sum() + (earlier.lengths < 0).sum())
    write_pieces(job.part("density", group), pa.table({"density": pa.array(density)}), None, 1, {"stirred": stirred})
    columns = {"keys": fixed_lists(keys), "before": fixed_lists(earlier.before)}
    write_pieces(url, pa.table(columns), None, 1, facts)
    return facts


@functools.lru_cache(maxsize=_KEPT)
def densities_of(job: NeighbourJob, group: int) -> Int64s:
    """Densities of the tracks of a group that was ranked: sums of products, in units of 1 / `DENSITY_UNITS`."""
    return np.asarray(read_piece(job.part("density", group), 0)["density"])


def has_stirred(job: NeighbourJob, group: int) -> bool:
    """Whether a ranked group has a track with another density than before, or a new one."""
    return bool(read_facts(job.part("density", group))["stirred"])


def kept(job: NeighbourJob) -> int:
    """Candidates of a track that its neighbours and its density come from: a list has at least as many if there are."""
    return max(CANDIDATES_EACH * job.neighbours, DENSITY)


def width(job: NeighbourJob) -> int:
    """Candidates of a track that are written, with the spare ones."""
    return kept(job) + SPARE


class EarlierCandidates:
    """What the earlier index has of a group's tracks.

    Attributes:
      keys: candidates with today's rows: int64 [n, width].
      before: rows of the neighbours, `GONE` for those that are no longer the same, -1 for none: int64 [n, k].
      lengths: number of candidates, with those that are no longer the same; -1 for new tracks: int64 [n].
      density: int64 [n].
    """

    def __init__(self, groups: Groups, group: int) -> None:
        job, origins = groups.job, groups.moves(group).origins
        self.keys = np.full((len(origins), width(job)), NO_CANDIDATE)
        self.before = np.full((len(origins), job.neighbours), -1)
        self.density, self.lengths = np.zeros(len(origins), np.int64), np.full(len(origins), -1)
        if groups.base is None:
            return
        rows = groups.base_piece(group, ["keys", "density", "chosen"])
        own = np.flatnonzero(origins >= 0)
        keys, chosen = (lists_of(rows[name])[origins[own]] for name in ("keys", "chosen"))
        self.keys[own], self.lengths[own] = groups.moved_keys(group, keys), lengths(keys)
        self.density[own] = np.asarray(rows["density"])[origins[own]]
        found = np.take_along_axis(self.keys[own], np.maximum(chosen, 0).astype(np.int64), 1)
        self.before[own] = np.where(chosen < 0, -1, np.where(found == NO_CANDIDATE, GONE, candidate_rows(found)))


def _cell_keys(groups: Groups, cell: int, earlier: EarlierCandidates, facts: dict[str, int]) -> Int64s:
    """Keys of the candidates of a cell's tracks."""
    places, near = groups.cell(cell)[1], groups.near(cell)
    keys = earlier.keys[places].copy()
    if not any(map(groups.is_changed, near)):
        facts["cells_same"] += 1
        return keys
    facts["cells_updated"] += 1
    vectors, is_new = groups.vectors(cell), groups.is_new(cell)
    if not is_new.all():
        fresh = [(groups.rows(one)[new], groups.vectors(one)[new]) for one, new in groups.new_tracks(near)]
        others = np.concatenate([vectors[:0], *(own for _, own in fresh)])
        complete = earlier.lengths[places][~is_new] == groups.earlier_size(near) - 1
        rows = np.concatenate([np.zeros(0, np.int64), *(own for own, _ in fresh)])
        keys[~is_new] = merged(keys[~is_new], complete, vectors[~is_new] @ others.T, rows)
    enough = min(kept(groups.job), groups.size(near) - 1)
    compared = np.flatnonzero(is_new | (lengths(keys) < enough))
    if len(compared):
        keys[compared] = _compared(groups, near, vectors[compared], groups.rows(cell)[compared])
    facts["tracks_compared"] += len(compared)
    facts["tracks_merged"] += len(keys) - len(compared)
    return keys


def _compared(groups: Groups, near: Sequence[int], vectors: Float32s, rows: Int64s) -> Int64s:
    """Keys of the best of all candidates."""
    candidates = np.concatenate([groups.rows(one) for one in near])
    step, found = max(1, _MOST_PRODUCTS // len(candidates)), []
    for start in range(0, len(rows), step):
        own = vectors[start : start + step]
        products = np.concatenate([own @ groups.vectors(one).T for one in near], axis=1)
        found.append(best(products, candidates, rows[start : start + step], width(groups.job)))
    return np.concatenate(found)


def _density(keys: Int64s) -> Int64s:
    """Mean product of each track with its best candidates, in units of 1 / `DENSITY_UNITS`; 0 if it has none."""
    first = keys[:, :DENSITY]
    sums, counts = np.where(first == NO_CANDIDATE, 0, products_of(first)).sum(1), lengths(first)
    found: Int64s = sums * (DENSITY_UNITS // np.maximum(counts, 1))
    return found
