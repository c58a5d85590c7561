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

_BITS = 32

_ITSELF = np.float32(-(2**26))
"""A product that no pair has, for a track and itself."""


def keys_of(products: npt.NDArray[np.number], rows: Int64s) -> Int64s:
    """Keys of candidates: products are whole numbers of at most 2**24, rows are less than 2**31."""
    return (products.astype(np.int64) << _BITS) - rows


def products_of(keys: Int64s) -> Int64s:
    """The products in keys; meaningless for `NO_CANDIDATE`."""
    return -((-keys) >> _BITS)


def candidate_rows(keys: Int64s) -> Int64s:
    """The rows in keys; -1 for `NO_CANDIDATE`."""
    return np.where(keys == NO_CANDIDATE, -1, (products_of(keys) << _BITS) - keys)


def with_rows(keys: Int64s, rows: Int64s) -> Int64s:
    """The same candidates with other row numbers in the same order; those with the row -1 become `NO_CANDIDATE`."""
    return np.where((keys == NO_CANDIDATE) | (rows < 0), NO_CANDIDATE, (products_of(keys) << _BITS) - rows)


def best(products: Float32s, candidates: Int64s, own: Int64s, most: int) -> Int64s:
    """Keys of the best candidates of each row, itself left out: int64 [n, most].

    Args:
      products: of rows and candidates on the grid: float32 [n, m]; it is changed.
      candidates: rows of the candidates, ascending: int64 [m].
      own: the rows themselves, which are among the candidates: int64 [n].
      most: length of the lists; short ones end with `NO_CANDIDATE`.
    """
    products[np.arange(len(own)), np.searchsorted(candidates, own)] = _ITSELF
    found = np.full((len(own), most), NO_CANDIDATE)
    kept = min(most, len(candidates) - 1)
    if not kept:
        return found
    first = len(candidates) - kept
    places = np.argpartition(products, first, axis=1)[:, first:]
    least = np.take_along_axis(products, places[:, :1], 1)
    for row in np.flatnonzero((products >= least).sum(1) > kept):  # candidates as good as the last one: the first ones
        places[row] = np.argsort(-products[row], kind="stable")[:kept]
    found[:, :kept] = keys_of(np.take_along_axis(products, places, 1), candidates[places])
    return descending(found)


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
    keys = keys_of(products, fresh)
    keys = np.where(keys > last[:, None], keys, NO_CANDIDATE)
    changed = np.flatnonzero((keys != NO_CANDIDATE).any(1) | (lists == NO_CANDIDATE).any(1))
    found = lists.copy()
    found[changed] = descending(np.concatenate([lists[changed], keys[changed]], 1))[:, : lists.shape[1]]
    return found


def lengths(lists: Int64s) -> Int64s:
    """Number of candidates of each list: int64 [n]."""
    found: Int64s = (lists != NO_CANDIDATE).sum(1, dtype=np.int64)
    return found


def descending(keys: Int64s) -> Int64s:
    """Each row of keys, the best first."""
    return np.sort(keys, axis=1)[:, ::-1]
