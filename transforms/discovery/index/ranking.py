"""The neighbours of a group's tracks: candidates from near cells by exact similarity, then hubs are ranked lower."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.discovery.index.cells import Int64s, probed_cells
from transforms.discovery.index.duplicates import near_duplicates
from transforms.discovery.index.groups import IndexGroup
from transforms.discovery.index.job import NeighbourJob, model_of, opened_snapshot, write_group_rows
from transforms.discovery.index.pieces import read_piece, write_pieces
from transforms.discovery.similarity import Float32s, similarities

CANDIDATES_EACH = 3
"""Candidates for each neighbour, among which hubs are ranked lower."""

DAMPING = 0.25
"""Share of a neighbour's density that is taken off its similarity. `docs/quality.md` has the figures."""

DENSITY = 10
"""Candidates over which the mean similarity of a track is taken."""

_OPENED = 64
_PAIRS = 4_096


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

    def _open(self, group: int) -> IndexGroup:
        return IndexGroup.opened(self._job.url(self._job.group_path(group)))

    def _density(self, group: int) -> Float32s:
        found: Float32s = np.asarray(read_piece(self._job.part("ranked", group), 0)["density"])
        return found

    def cell(self, cell: int) -> tuple[Int64s, Float32s]:
        """Rows of a cell among all, and their vectors: float32 [n, d]."""
        number = int(model_of(self._job).groups_of(cell))
        group = self.opened(number)
        start, stop = np.searchsorted(group.cells, [cell, cell + 1])
        rows = self.offsets[number] + np.arange(start, stop)
        return rows, group.vectors[start:stop].astype(np.float32)

    def numbers(self, rows: Int64s) -> Iterator[tuple[int, npt.NDArray[np.bool_], Int64s]]:
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
    kept = CANDIDATES_EACH * job.neighbours
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
    rows: Int64s, vectors: Float32s, candidates: Int64s, others: Float32s, kept: int
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
    ICLR 2018), at half of its strength: the similarity, less a share of the density of the neighbour. The track's own
    density changes no rank.
    """
    if storage.exists(job.part("damped", group)):
        return
    groups, ranked = Groups(job, sizes), read_piece(job.part("ranked", group), 0)
    own = groups.opened(group)
    count = len(own.cells)
    candidates = np.asarray(ranked["candidate"].flatten()).reshape(count, -1).astype(np.int64)
    near = np.asarray(ranked["similarity"].flatten()).reshape(count, -1)
    scores = np.round(near - np.float32(DAMPING) * _gathered(groups, candidates, groups.density), 5)
    order = np.argsort(-scores, axis=1, kind="stable")[:, : job.neighbours]
    chosen = np.take_along_axis(candidates, order, 1)
    track, slot = np.nonzero(chosen >= 0)
    rows, undamped = chosen[track, slot], candidates[track, slot]
    found = _similarities(groups, own, track, rows)
    lengths = _gathered(groups, rows, lambda number: groups.opened(number).durations)
    same = near_duplicates(found, own.durations[track], lengths)
    others = _ids(groups, rows)
    columns = {
        "track_id": own.track_ids.take(pa.array(track)),
        "rank": pa.array((slot + 1).astype(np.int16)),
        "neighbour_id": others,
        "similarity": pa.array(found),
        "is_duplicate": pa.array(same),
        "duplicate_group": _duplicate_groups(own.track_ids, track, others, same).take(pa.array(track)),
        "row": pa.array(rows.astype(np.int32)),
        "undamped_row": pa.array(undamped.astype(np.int32)),
    }
    write_group_rows(job, group, pa.table(columns))


def _gathered(groups: Groups, rows: Int64s, values: Callable[[int], Float32s]) -> Float32s:
    """The value of each row, from those of its group; 0 for the row -1."""
    found = np.zeros(rows.shape, np.float32)
    known = np.flatnonzero(rows >= 0)
    for number, own, places in groups.numbers(rows.ravel()[known]):
        found.ravel()[known[own]] = values(number)[places]
    return found


def _similarities(groups: Groups, own: IndexGroup, track: Int64s, rows: Int64s) -> Float32s:
    """Exact similarities of tracks of a group, by their places, and rows among all."""
    found = np.zeros(len(rows), np.float32)
    for number, which, places in groups.numbers(rows):
        at = np.flatnonzero(which)
        for start in range(0, len(at), _PAIRS):
            part, other = at[start : start + _PAIRS], places[start : start + _PAIRS]
            pair = own.vectors[track[part]], groups.opened(number).vectors[other]
            found[part] = similarities(*(vectors.astype(np.float32) for vectors in pair))
    return found


def _ids(groups: Groups, rows: Int64s) -> pa.Array:
    """The track ids of rows."""
    order, parts = [], []
    for number, own, places in groups.numbers(rows):
        order.append(np.flatnonzero(own))
        parts.append(groups.opened(number).track_ids.take(pa.array(places)))
    if not parts:
        return pa.array([], pa.string())
    back = np.argsort(np.concatenate(order), kind="stable")
    return pa.concat_arrays(parts).take(pa.array(back))


def _duplicate_groups(ids: pa.Array, track: Int64s, others: pa.Array, same: npt.NDArray[np.bool_]) -> pa.Array:
    """The smallest id among each track and its near-duplicates; null for a track that has none."""
    pairs = pa.table({"track": track[same], "id": others.filter(pa.array(same))})
    smallest = pairs.group_by("track", use_threads=False).aggregate([("id", "min")])
    own = ids.take(smallest["track"]).combine_chunks() if len(smallest) else pa.array([], pa.string())
    least = pc.min_element_wise(own, smallest["id_min"]) if len(smallest) else own
    return least.take(pc.index_in(pa.array(np.arange(len(ids))), value_set=smallest["track"].cast(pa.int64())))


def occurrences(job: NeighbourJob, sizes: Sequence[int]) -> dict[str, Any]:
    """How often tracks are neighbours of others, with hubs ranked lower and without.

    Returns:
      `damped` and `undamped`, each with `skewness` of the number of occurrences, and `never`, the share of tracks that
      are nobody's neighbour; `duplicates`: tracks with a near-duplicate.
    """
    buckets = range(opened_snapshot(job.root, job.snapshot).buckets)
    counts = {name: np.zeros(sum(sizes), np.int32) for name in ("row", "undamped_row")}
    duplicates = 0
    for group in range(len(sizes)):
        for bucket in buckets:
            piece = read_piece(job.part("damped", group), bucket)
            for name, count in counts.items():
                np.add.at(count, np.asarray(piece[name]), 1)
            duplicates += len(pc.unique(piece["track_id"].filter(piece["is_duplicate"])))
    damped, undamped = (_hubness(counts[name]) for name in ("row", "undamped_row"))
    return {"damped": damped, "undamped": undamped, "duplicates": duplicates}


def _hubness(counts: npt.NDArray[np.int32]) -> dict[str, float]:
    deviation = float(counts.std())
    skewness = float(np.power(counts - counts.mean(), 3).mean()) / deviation**3 if deviation else 0.0
    return {"skewness": round(skewness, 4), "never": round(float((counts == 0).mean()) if len(counts) else 0.0, 6)}
