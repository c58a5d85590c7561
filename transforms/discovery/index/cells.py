"""Coarse cells of a vector space: spherical k-means of a sample, the same to the bit for the same sample."""

import math

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from transforms.discovery.similarity import Float32s, on_grid

Int64s = npt.NDArray[np.int64]

ROUNDS = 8
SAMPLE_A_CELL = 32
"""Tracks of the sample for each cell."""

_ROWS = 1_024


def cell_count(tracks: int) -> int:
    """Number of cells for a number of tracks: 4 times the root, but at least 32 tracks a cell on average.

    >>> cell_count(1), cell_count(20_000), cell_count(1_000_000)
    (1, 566, 4000)
    """
    return max(1, min(round(4 * math.sqrt(tracks)), tracks // 32))


def fit_cells(sample: Float32s, count: int) -> Float32s:
    """Centres of the cells, of unit length, neighbouring cells beside each other: float32 [at most count, d].

    The sums are in the order of the sample and in one thread. The first centres are rows at equal distances.
    """
    starts = np.unique(np.linspace(0, len(sample) - 1, min(count, len(sample))).astype(np.int64))
    centres = sample[starts]
    with threadpool_limits(1, "blas"):
        for _ in range(ROUNDS):
            centres = _moved(sample, centres)
        return centres[_order(centres)]


def _moved(sample: Float32s, centres: Float32s) -> Float32s:
    cells = nearest_cells(sample, centres)
    order = np.argsort(cells, kind="stable")
    found, first = np.unique(cells[order], return_index=True)
    sums = np.add.reduceat(sample[order], first, axis=0, dtype=np.float64)
    lengths = np.sqrt(np.square(sums).sum(1, keepdims=True))
    moved = centres.copy()  # a cell without tracks keeps its centre
    moved[found] = (sums / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return moved


def nearest_cells(vectors: Float32s, centres: Float32s) -> Int64s:
    """The cell of each vector; of equally near ones the first: int64 [n]. The other vectors change no bit of it."""
    found, others = np.zeros(len(vectors), np.int64), on_grid(centres).T
    for start in range(0, len(vectors), _ROWS):
        found[start : start + _ROWS] = (on_grid(vectors[start : start + _ROWS]) @ others).argmax(1)
    return found


def _order(centres: Float32s) -> Int64s:
    """The rows so that near ones are beside each other: halves along the direction of greatest spread, again and again.

    So tasks over consecutive cells read few other files.
    """
    pending, done = [np.arange(len(centres))], []
    while pending:
        rows = pending.pop()
        if len(rows) <= 2:
            done.append(rows)
            continue
        own = centres[rows].astype(np.float64)
        own -= own.mean(0)
        direction = own[np.square(own).sum(1).argmax()]
        for _ in range(4):  # power iteration towards the first principal axis
            direction = own.T @ (own @ direction)
            direction /= max(float(np.linalg.norm(direction)), 1e-30)
        halves = rows[np.argsort(own @ direction, kind="stable")]
        pending += [halves[len(rows) // 2 :], halves[: len(rows) // 2]]
    return np.concatenate(done)


def probed_cells(near: Float32s, probes: int) -> Int64s:
    """The cells that are nearest by their similarities to a query, the nearest first: int64 [at most probes]."""
    if probes >= len(near):
        return np.argsort(-near, kind="stable")
    best = np.argpartition(-near, probes)[:probes]
    return best[np.argsort(-near[best], kind="stable")]
