"""The candidates of a group's tracks: the most similar tracks of the cells near to theirs."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

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
from transforms.discovery.index.pieces import read_facts, read_piece, write_pieces
from transforms.discovery.similarity import Float32s, on_grid

CANDIDATES_EACH = 3
"""Candidates for each neighbour, among which hubs are ranked lower."""

SPARE = 12
"""Further candidates that are kept, so that a later job can lose some of them and has enough all the same."""

DENSITY = 10
"""Candidates over which the mean similarity of a track is taken."""

_KEPT = 256
"""Groups of which small values stay in memory."""


class Groups:
    """The groups of a finished index, and what became of the earlier ones.

    Args:
      job: whose index it is.
      sizes: tracks of each group.
    """

    def __init__(self, job: NeighbourJob, sizes: Sequence[int]) -> None:
        self.job, self.model, self.base = job, model_of(job), base_of(job)
        self.offsets = _offsets(sizes)
        self._base_offsets = _offsets([] if self.base is None else [file.tracks for file in self.base.groups])
        self._owners = self.model.groups_of(np.arange(len(self.model.centres))).tolist()
        self._starts = self.model.starts.tolist()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def group(self, number: int) -> IndexGroup:
        """A group of the index."""
        return gathered_group(self.job, number)

    def moves(self, number: int) -> Moves:
        """What became of the tracks of a group."""
        return _moves(self.job, number)

    def cell(self, cell: int) -> tuple[int, slice]:
        """The group of a cell, and the places of its tracks there."""
        number = self._owners[cell]
        first = cell - self._starts[number]
        start, stop = self.moves(number).bounds[first : first + 2]
        return number, slice(start, stop)

    def is_changed(self, cell: int) -> bool:
        """Whether a cell has other tracks than before."""
        return cell in self.moves(self._owners[cell]).changed

    def rows(self, cells: Sequence[int], *, only_new: bool) -> Int64s:
        """Rows of the tracks of cells among all, ascending if the cells are; only the new ones if that is asked for."""
        found = [np.zeros(0, np.int64)]
        for cell in cells:
            number, places = self.cell(cell)
            own = np.arange(places.start, places.stop)
            own = own[self.moves(number).origins[places] < 0] if only_new else own
            found.append(self.offsets[number] + own)
        return np.concatenate(found)

    def size(self, cells: Sequence[int]) -> int:
        """Number of tracks of cells."""
        places = (self.cell(cell)[1] for cell in cells)
        return sum(own.stop - own.start for own in places)

    def earlier_size(self, cells: Sequence[int]) -> int:
        """Number of tracks that cells had in the earlier index."""
        sizes = (self.moves(self._owners[cell]).sizes[cell - self._starts[self._owners[cell]]] for cell in cells)
        return sum(sizes)

    def vectors(self, rows: Int64s) -> Float32s:
        """Vectors of rows on the grid: float32 [n, d]."""
        found = np.empty((len(rows), self.model.space.dimensions), np.float32)
        for number, own, places in self.numbers(rows):
            found[own] = self.group(number).vectors[places]
        return on_grid(found)

    def numbers(self, rows: Int64s) -> Iterator[tuple[int, npt.NDArray[np.bool_], Int64s]]:
        """(group, which of the rows are in it, their places in it) for each group of the rows."""
        yield from _by_group(rows, self.offsets)

    def gathered(self, rows: Int64s, values: Callable[[int], npt.NDArray[np.generic]]) -> npt.NDArray[np.float64]:
        """The value of each row, from those of its group; 0 for the row -1."""
        found = np.zeros(rows.shape)
        known = np.flatnonzero(rows >= 0)
        for number, own, places in self.numbers(rows.ravel()[known]):
            found.ravel()[known[own]] = values(number)[places]
        return found

    def moved_keys(self, keys: Int64s) -> Int64s:
        """Keys of the earlier index with rows of this one; `NO_CANDIDATE` for tracks that are no longer the same."""
        rows = candidate_rows(keys)
        found, flat = np.full(rows.shape, -1, np.int64), rows.ravel()
        known = np.flatnonzero(flat >= 0)
        for number, own, earlier in _by_group(flat[known], self._base_offsets):
            places = self.moves(number).places[earlier]
            found.ravel()[known[own]] = np.where(places < 0, -1, self.offsets[number] + places)
        return with_rows(keys, found)


@functools.lru_cache(maxsize=_KEPT)
def _moves(job: NeighbourJob, group: int) -> Moves:
    return Moves.of(job, base_of(job), group)


def _offsets(sizes: Sequence[int]) -> Int64s:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _by_group(rows: Int64s, offsets: Int64s) -> Iterator[tuple[int, npt.NDArray[np.bool_], Int64s]]:
    numbers = np.searchsorted(offsets, rows, side="right") - 1
    for number in np.unique(numbers).tolist():
        own = numbers == number
        yield number, own, rows[own] - offsets[number]


def rank_group(job: NeighbourJob, group: int, sizes: Sequence[int]) -> Mapping[str, int]:
    """Writes the candidates of a group's tracks, as keys, the best first; and in another file their densities.

    `keys` are of as many candidates as `kept` says, and of up to `SPARE` further ones. `listed` is whether the
    candidates (without the spare ones) are others than in the earlier index.

    Returns:
      `cells_same`: cells none of whose candidates changed; `cells_updated`: the others. `tracks_compared`: tracks that
      were compared with all candidates; `tracks_merged`: those that were compared with new candidates alone.
    """
    url = job.part("ranked", group)
    if storage.exists(url):
        return read_facts(url)
    groups, moves = Groups(job, sizes), _moves(job, group)
    earlier = _Earlier(groups, group)
    facts = dict.fromkeys(("cells_same", "cells_updated", "tracks_compared", "tracks_merged"), 0)
    keys = np.full((len(moves.origins), width(job)), NO_CANDIDATE)
    for cell in range(int(groups.model.starts[group]), int(groups.model.starts[group + 1])):
        places = groups.cell(cell)[1]
        if places.start < places.stop:
            keys[places] = _cell_keys(groups, cell, earlier, facts)
    density, is_new, one = _density(keys), moves.origins < 0, np.zeros(len(keys), np.int64)
    stirred = (density != earlier.density) | is_new
    values = pa.table({"density": pa.array(density), "stirred": pa.array(stirred)})
    write_pieces(job.part("density", group), values, one, 1)
    first = keys[:, : kept(job)]
    listed = (first != earlier.keys[:, : kept(job)]).any(1) | is_new
    listed |= lengths(first) != np.minimum(earlier.lengths, kept(job))  # the last ones were lost
    lists = pa.FixedSizeListArray.from_arrays(pa.array(keys.ravel()), keys.shape[1])
    write_pieces(url, pa.table({"keys": lists, "listed": pa.array(listed)}), one, 1, facts)
    return facts


class Densities(NamedTuple):
    """Of a ranked group: the mean product of each track with its best candidates, and whether it changed."""

    values: npt.NDArray[np.float64]
    stirred: npt.NDArray[np.bool_]


@functools.lru_cache(maxsize=_KEPT)
def densities_of(job: NeighbourJob, group: int) -> Densities:
    """The densities of a group that was ranked."""
    rows = read_piece(job.part("density", group), 0)
    return Densities(np.asarray(rows["density"]), np.asarray(rows["stirred"]))


def kept(job: NeighbourJob) -> int:
    """Candidates of a track that its neighbours and its density come from: a list has at least as many if there are."""
    return max(CANDIDATES_EACH * job.neighbours, DENSITY)


def width(job: NeighbourJob) -> int:
    """Candidates of a track that are written, with the spare ones."""
    return kept(job) + SPARE


class _Earlier:
    """What the earlier index has of a group's tracks.

    `keys` int64 [n, width] have today's rows; `lengths` [n] also count candidates that are no longer the same.
    """

    def __init__(self, groups: Groups, group: int) -> None:
        origins = _moves(groups.job, group).origins
        self.keys = np.full((len(origins), width(groups.job)), NO_CANDIDATE)
        self.density, self.lengths = np.zeros(len(origins)), np.zeros(len(origins), np.int64)
        if groups.base is not None:
            rows = read_piece(groups.job.url(groups.base.candidates[group].path), 0)
            own = np.flatnonzero(origins >= 0)
            keys = np.asarray(rows["keys"].flatten()).reshape(-1, width(groups.job))[origins[own]]
            self.keys[own], self.lengths[own] = groups.moved_keys(keys), lengths(keys)
            self.density[own] = np.asarray(rows["density"])[origins[own]]


def _cell_keys(groups: Groups, cell: int, earlier: _Earlier, facts: dict[str, int]) -> Int64s:
    """Keys of the candidates of a cell's tracks."""
    number, places = groups.cell(cell)
    near = sorted(probed_cells(groups.model.grid @ groups.model.grid[cell], groups.job.probes).tolist())
    if not any(map(groups.is_changed, near)):
        facts["cells_same"] += 1
        return earlier.keys[places]
    facts["cells_updated"] += 1
    moves = groups.moves(number)
    rows, is_new = groups.offsets[number] + np.arange(places.start, places.stop), moves.origins[places] < 0
    keys = earlier.keys[places].copy()
    if not is_new.all():
        fresh = groups.rows(near, only_new=True)
        products = groups.vectors(rows[~is_new]) @ groups.vectors(fresh).T
        complete = earlier.lengths[places][~is_new] == groups.earlier_size(near) - 1
        keys[~is_new] = merged(keys[~is_new], complete, products, fresh)
    enough = min(kept(groups.job), groups.size(near) - 1)
    compared = np.flatnonzero(is_new | (lengths(keys) < enough))
    if len(compared):
        others = groups.rows(near, only_new=False)
        keys[compared] = best(
            groups.vectors(rows[compared]) @ groups.vectors(others).T, others, rows[compared], keys.shape[1]
        )
    facts["tracks_compared"] += len(compared)
    facts["tracks_merged"] += len(rows) - len(compared)
    return keys


def _density(keys: Int64s) -> npt.NDArray[np.float64]:
    """Mean product of each track with its best candidates; 0 if it has none."""
    first = keys[:, :DENSITY]
    sums, counts = np.where(first == NO_CANDIDATE, 0, products_of(first)).sum(1), lengths(first)
    found: npt.NDArray[np.float64] = np.divide(sums, counts, out=np.zeros(len(keys)), where=counts > 0)
    return found
