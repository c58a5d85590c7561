"""Lists of the most similar candidates of tracks, as keys that have one order: the best first.

A key has the product of two vectors on the grid, and the row of the candidate: a higher product is better, then a lower
row. So lists do not depend on how the candidates came.
"""

import numpy as np
import numpy.typing as npt

from transforms.discovery.index.cells import Int64s
from transforms.discovery.similarity import Float32s

NO_CANDIDATE = np.iinfo(np.int64).min
"""The key of no candidate, worse than all others."""

_BITS = 38
_LOW = (1 << _BITS) - 1

_ITSELF = np.float32(-(2**26))
"""A product that no pair has, for a track and itself."""

_LEAST = np.float32(-(2**25))
"""Less than all products of pairs."""

_TRIED_EACH = 12
"""Candidates from which a bound is taken, for each one that is wanted."""


def keys_of(products: npt.NDArray[np.number], rows: Int64s) -> Int64s:
    """Keys of candidates: products are whole numbers of at most 2**24, rows are less than 2**38."""
    return (products.astype(np.int64) << _BITS) - rows


def products_of(keys: Int64s) -> Int64s:
    """The products in keys; meaningless for `NO_CANDIDATE`."""
    return -((-keys) >> _BITS)


def candidate_rows(keys: Int64s) -> Int64s:
    """The rows in keys; -1 for `NO_CANDIDATE`."""
    found = (-keys) & _LOW
    found[keys == NO_CANDIDATE] = -1
    return found


def with_rows(keys: Int64s, rows: Int64s) -> Int64s:
    """The same candidates with other row numbers in the same order; those with the row -1 become `NO_CANDIDATE`."""
    found = keys + ((-keys) & _LOW)
    found -= rows
    found[(rows < 0) | (keys == NO_CANDIDATE)] = NO_CANDIDATE
    return found


def best(products: Float32s, candidates: Int64s, own: Int64s, most: int) -> Int64s:
    """Keys of the best candidates of each row, itself left out: int64 [n, most].

    A bound comes from some of the candidates: as many as are wanted are at least as good. Those of all candidates that
    reach it are sorted. So the time is that of one comparison for each product, and not that of sorting all.

    Args:
      products: of rows and candidates on the grid: float32 [n, m]; it is changed. If those that are probably the best
        come first, fewer have to be sorted.
      candidates: rows of the candidates, in any order: int64 [m].
      own: the rows themselves, which are among the candidates: int64 [n].
      most: length of the lists; short ones end with `NO_CANDIDATE`.
    """
    order = np.argsort(candidates)
    products[np.arange(len(own)), order[np.searchsorted(candidates, own, sorter=order)]] = _ITSELF
    bound, tried = np.full((len(own), 1), _LEAST), products[:, : _TRIED_EACH * most]
    if tried.shape[1] > most:
        bound = np.partition(tried, tried.shape[1] - most, axis=1)[:, -most, None]
    flat = np.flatnonzero(products >= np.maximum(bound, _LEAST))
    row, column = np.divmod(flat, products.shape[1])
    firsts = np.searchsorted(row, np.arange(len(own) + 1))
    found = np.full((len(own), max(most, int(np.diff(firsts).max(initial=0)))), NO_CANDIDATE)
    found[row, np.arange(len(flat)) - firsts[row]] = keys_of(products.ravel()[flat], candidates[column])
    return descending(found)[:, :most]


def merged(lists: Int64s, complete: npt.NDArray[np.bool_], products: Float32s, fresh: Int64s) -> Int64s:
    """Lists to which new candidates were added; a list may become shorter, but has no gaps: the best of all candidates.

    Args:
      lists: the best candidates of each row, of which some may have become `NO_CANDIDATE`: int64 [n, most].
      complete: whether each list has all candidates that there are, but the new ones: bool [n].
      products: of rows and new candidates: float32 [n, m].
      fresh: rows of the new candidates: int64 [m].
    """
    # What is worse than the last one may be worse than candidates that are in no list.
    last = np.where(lists == NO_CANDIDATE, np.iinfo(np.int64).max, lists).min(1)
    last[complete] = NO_CANDIDATE
    least = np.where(last == NO_CANDIDATE, _ITSELF, np.minimum(products_of(last), -_ITSELF)).astype(np.float32)
    near = products >= least[:, None]  # of equal products, the row decides below
    changed = np.flatnonzero(near.any(1) | (lists == NO_CANDIDATE).any(1))
    keys = keys_of(products[changed], fresh)
    keys[~near[changed] | (keys <= last[changed, None])] = NO_CANDIDATE
    found = lists.copy()
    found[changed] = descending(np.concatenate([lists[changed], keys], 1))[:, : lists.shape[1]]
    return found


def lengths(lists: Int64s) -> Int64s:
    """Number of candidates of each list: int64 [n]."""
    found: Int64s = (lists != NO_CANDIDATE).sum(1, dtype=np.int64)
    return found


def descending(keys: Int64s) -> Int64s:
    """Each row of keys, the best first."""
    return np.sort(keys, axis=1)[:, ::-1]
