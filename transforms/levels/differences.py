"""Which tracks, artists or albums have other rows in a new version of a table's bucket: compared value by value."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.schemas.tables import KEYS

_Bools = npt.NDArray[np.bool_]

_FURTHER_KEYS = {"track_tags": "tag", "artist_tags": "tag", "album_tags": "tag"}
"""Tables with several rows per key -> the column that tells them apart."""


class ChangedKeys(NamedTuple):
    """Keys (tracks, artists or albums) of a table's bucket that two versions do not share.

    Attributes:
      written: keys whose rows are new or differ.
      removed: keys that only the old version has.
    """

    written: pa.Array
    removed: pa.Array


def row_keys(name: str) -> list[str]:
    """The columns that tell the rows of a table apart."""
    return [KEYS[name], *([_FURTHER_KEYS[name]] if name in _FURTHER_KEYS else [])]


def changed_keys(
    name: str, old: pa.Table, new: pa.Table, column: Callable[[str], pa.ChunkedArray] | None = None
) -> ChangedKeys | None:
    """Compares two versions of a table's rows, in any order. None if rows cannot be told apart by their keys.

    Args:
      name: the table.
      old: the columns `row_keys` of the old version.
      new: the new version.
      column: reads one of the other columns of the old version, so that only one of them is in memory; by default, they
        are in `old`.
    """
    before, after = (pc.unique(rows[KEYS[name]]) for rows in (old, new))
    keys = pc.unique(pa.chunked_array([before, after], pa.string()))
    codes = _codes(name, keys, old, new)
    if codes is None:
        return None
    differs = np.zeros(len(keys), bool)
    place, found = _places(codes.old, codes.new)
    differs[codes.new_key[~found]] = True  # rows that only the new version has
    matched = np.zeros(len(codes.old), bool)
    matched[place[found]] = True
    differs[codes.old_key[~matched]] = True  # rows that only the old version has
    pairs = pa.array(place[found]), pa.array(np.flatnonzero(found))
    for other in new.column_names:
        if other not in row_keys(name):
            values = old[other] if column is None else column(other)
            unequal = differing_values(values.take(pairs[0]), new[other].take(pairs[1]))
            differs[codes.new_key[found][unequal]] = True
    has_new = np.zeros(len(keys), bool)
    has_new[codes.new_key] = True
    return ChangedKeys(keys.filter(pa.array(differs & has_new)), keys.filter(pa.array(~has_new)))


class _Codes(NamedTuple):
    """Row keys as integers, unique on each side; and the place of each row's key among all keys."""

    old: npt.NDArray[np.int64]
    new: npt.NDArray[np.int64]
    old_key: npt.NDArray[np.int64]
    new_key: npt.NDArray[np.int64]


def _codes(name: str, keys: pa.Array, old: pa.Table, new: pa.Table) -> _Codes | None:
    own = [_index(rows[KEYS[name]], keys) for rows in (old, new)]
    codes = own
    if (further := _FURTHER_KEYS.get(name)) is not None:
        values = pc.unique(pa.chunked_array([*old[further].chunks, *new[further].chunks], pa.string()))
        codes = [key * len(values) + _index(rows[further], values) for key, rows in zip(own, (old, new), strict=True)]
    if any(len(np.unique(side)) != len(side) for side in codes):
        return None
    return _Codes(*codes, *own)


def _index(values: pa.ChunkedArray, known: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(pc.index_in(values, value_set=known).to_numpy(), np.int64)


def _places(old: npt.NDArray[np.int64], new: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], _Bools]:
    """For each new code, its place among the old ones, and whether it is there."""
    order = np.argsort(old, kind="stable")
    sorted_ = old[order]
    place = np.searchsorted(sorted_, new)
    inside = place < len(old)
    found = np.zeros(len(new), bool)
    found[inside] = sorted_[place[inside]] == new[inside]
    places = np.zeros(len(new), np.int64)
    places[found] = order[place[found]]
    return places, found


def differing_values(old: pa.ChunkedArray | pa.Array, new: pa.ChunkedArray | pa.Array) -> _Bools:
    """Which values of two columns of equal length and type differ: bool [rows]. Floats are compared bit by bit."""
    a, b = (values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values for values in (old, new))
    valid_a, valid_b = (np.asarray(values.is_valid().to_numpy(zero_copy_only=False), bool) for values in (a, b))
    found: _Bools = valid_a != valid_b
    both = np.flatnonzero(valid_a & valid_b)
    if len(both) < len(a):
        a, b = a.take(pa.array(both)), b.take(pa.array(both))
    found[both[_differing(a, b)]] = True
    return found


def _differing(a: pa.Array, b: pa.Array) -> _Bools:
    """The same for values without nulls at this level."""
    kind = a.type
    if not len(a):
        return np.zeros(0, bool)
    if pa.types.is_floating(kind):
        kinds = {16: np.uint16, 32: np.uint32, 64: np.uint64}
        bits = [np.asarray(side.to_numpy()).view(kinds[kind.bit_width]) for side in (a, b)]
        return np.asarray(bits[0] != bits[1], bool)
    if pa.types.is_struct(kind):
        children = zip(a.flatten(), b.flatten(), strict=True)
        found = np.zeros(len(a), bool)
        for x, y in children:
            found |= differing_values(x, y)
        return found
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _differing_lists(a, b)
    try:
        return np.asarray(pc.not_equal(a, b).to_numpy(zero_copy_only=False), bool)
    except pa.ArrowNotImplementedError:  # rare types of further columns of a catalog
        return np.array([x != y for x, y in zip(a.to_pylist(), b.to_pylist(), strict=True)], bool)


def _differing_lists(a: pa.Array, b: pa.Array) -> _Bools:
    lengths, others = (np.asarray(side.value_lengths().to_numpy(), np.int64) for side in (a, b))
    found: _Bools = lengths != others
    same = np.flatnonzero(~found)
    values = [side.take(pa.array(same)).flatten() for side in (a, b)]
    parents = np.repeat(same, lengths[same])
    found[parents[differing_values(values[0], values[1])]] = True
    return found
