"""The neighbours of a group's tracks: candidates from near cells by exact similarity, then hubs are ranked lower."""

import functools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms import storage
from transforms.discovery.index.cells import Ints, probed_cells
from transforms.discovery.index.duplicates import near_duplicates
from transforms.discovery.index.groups import Group
from transforms.discovery.index.job import NeighbourJob, model_of, write_group_rows
from transforms.discovery.index.pieces import read_piece, write_pieces
from transforms.discovery.similarity import Float32s, similarities
from transforms.schemas.tables import NEIGHBOURS

CANDIDATES = 3
"""Candidates for each neighbour, among which hubs are ranked lower."""

DENSITY = 10
"""Candidates over which the mean similarity of a track is taken."""

_OPENED = 64


class Groups:
    """The groups of a finished index, opened when they are needed.

    Args:
      job: whose index it is.
      sizes: tracks of each group.
    """

    def __init__(self, job: NeighbourJob, sizes: Sequence[int]) -> None:
        self._job = job
        self.offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.opened = functools.lru_cache(_OPENED)(self._open)
        self.density = functools.lru_cache(4 * _OPENED)(self._density)

    def _open(self, group: int) -> Group:
        return Group.opened(self._job.url(self._job.group_path(group)))

    def _density(self, group: int) -> Float32s:
        found: Float32s = np.asarray(read_piece(self._job.part("ranked", group), 0)["density"])
        return found

    def cell(self, cell: int) -> tuple[Ints, Float32s]:
        """Rows of a cell among all, and their vectors: float32 [n, d]."""
        number = int(model_of(self._job).groups_of(cell))
        group = self.opened(number)
        start, stop = np.searchsorted(group.cells, [cell, cell + 1])
        rows = self.offsets[number] + np.arange(start, stop)
        return rows, group.vectors[start:stop].astype(np.float32)

    def numbers(self, rows: Ints) -> Iterator[tuple[int, npt.NDArray[np.bool_], Ints]]:
        """(group, which of the rows are in it, their places in it) for each group of the rows."""
        numbers = np.searchsorted(self.offsets, rows, side="right") - 1
        for number in np.unique(numbers).tolist():
            own = numbers == number
            yield number, own, rows[own] - self.offsets[number]


def rank_group(job: NeighbourJob, group: int, sizes: Sequence[int]) -> None:
    """Writes the candidates of a group's tracks, the most similar first: their rows, similarities, and the density.

    A row of -1 stands for no candidate.
    """
    url = job.part("ranked", group)
    if storage.exists(url):
        return
    model, groups = model_of(job), Groups(job, sizes)
    kept = CANDIDATES * job.neighbours
    found: list[tuple[npt.NDArray[np.int32], Float32s]] = []
    for cell in range(int(model.starts[group]), int(model.starts[group + 1])):
        rows, vectors = groups.cell(cell)
        if not len(rows):
            continue
        near = probed_cells(model.centres @ model.centres[cell], job.probes)
        others = [groups.cell(other) for other in sorted(near.tolist())]
        candidates = np.concatenate([own for own, _ in others])
        found.append(_best(rows, vectors, candidates, np.concatenate([v for _, v in others]), kept))
    best = np.concatenate([np.zeros((0, kept), np.int32), *(rows for rows, _ in found)])
    values = np.concatenate([np.zeros((0, kept), np.float32), *(values for _, values in found)])
    near = np.where(best[:, :DENSITY] >= 0, values[:, :DENSITY], np.nan)
    known = np.isfinite(near).any(1)
    density = np.zeros(len(best), np.float32)
    density[known] = np.nanmean(near[known], 1)
    table = pa.table(
        {
            "candidate": pa.FixedSizeListArray.from_arrays(pa.array(best.ravel()), kept),
            "similarity": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), kept),
            "density": pa.array(density),
        }
    )
    write_pieces(url, table, np.zeros(len(best), np.int64), 1)


def _best(
    rows: Ints, vectors: Float32s, candidates: Ints, others: Float32s, kept: int
) -> tuple[npt.NDArray[np.int32], Float32s]:
    """The most similar candidates of each row, itself left out: rows int32 [n, kept] and similarities."""
    found = np.full((len(rows), kept), -1, np.int32)
    values = np.full((len(rows), kept), -np.inf, np.float32)
    products = vectors @ others.T
    products[np.arange(len(rows)), np.searchsorted(candidates, rows)] = -np.inf
    most = min(kept, len(candidates) - 1)
    if most:
        best = np.argpartition(-products, most - 1, axis=1)[:, :most]
        near = np.round(np.take_along_axis(products, best, 1), 5)
        order = np.lexsort((best, -near))
        found[:, :most] = candidates[np.take_along_axis(best, order, 1)]
        values[:, :most] = np.take_along_axis(near, order, 1)
    return found, values


def damp_group(job: NeighbourJob, group: int, sizes: Sequence[int]) -> None:
    """Writes the neighbours of a group's tracks.

    Hubs, which are near to many tracks, are ranked lower by cross-domain similarity local scaling (Conneau et al.,
    ICLR 2018): twice the similarity, less the density of the neighbour. The track's own density changes no rank.
    """
    if storage.exists(job.part("damped", group)):
        return
    groups, ranked = Groups(job, sizes), read_piece(job.part("ranked", group), 0)
    own = groups.opened(group)
    count = len(own.cells)
    candidates = np.asarray(ranked["candidate"].flatten()).reshape(count, -1).astype(np.int64)
    near = np.asarray(ranked["similarity"].flatten()).reshape(count, -1)
    scores = np.round(2 * near - _gathered(groups, candidates, _densities), 5)
    order = np.argsort(-scores, axis=1, kind="stable")[:, : job.neighbours]
    chosen = np.take_along_axis(candidates, order, 1)
    present = chosen >= 0
    track, slot = np.nonzero(present)
    rows = chosen[present]
    found = _similarities(groups, own, track, rows)
    same = near_duplicates(found, own.durations[track], _gathered(groups, rows, lambda g: g.durations))
    ids = own.track_ids.take(pa.array(track))
    others = _ids(groups, rows)
    table = pa.table(
        [
            ids,
            pa.array((slot + 1).astype(np.int16)),
            others,
            pa.array(found),
            pa.array(same),
            _duplicate_groups(own.track_ids, track, others, same).take(pa.array(track)),
            pa.array(rows.astype(np.int32)),
            pa.array(np.take_along_axis(candidates, np.arange(job.neighbours)[None, :] % candidates.shape[1], 1)[present]),
        ],
        names=[*NEIGHBOURS.names, "row", "undamped_row"],
    )
    write_group_rows(job, group, table)
