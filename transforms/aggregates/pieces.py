"""What one bucket of tracks contributes to the sums of its artists or albums.

A score is a multiple of 0.0001, so it is an integer, and the sums are exact in any order. The scores of one track take
2 bytes a tag, the sums of several tracks 24: so tracks of a group are added up within their bucket only where the sums
are smaller. Among many buckets, a bucket has about one track of an artist.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.formats.arrow import group_numbers, numbered_parts
from transforms.taxonomy.hierarchy import Taxonomy

SCALE = 10_000
"""Integer value of the score 1."""

SUMS = 3
"""Sums of a tag: of scores, of their squares, of positives."""

MOST_SEPARATE = SUMS * 8 // 2
"""Greatest number of tracks of a group in a bucket whose scores take no more bytes than their sums."""

PIECE = pa.schema([("group_id", pa.string()), ("tracks", pa.int64()), ("values", pa.large_binary())])
"""`values` of one track: uint16 [tags], scores in units of 0.0001, with the highest bit set for a positive tag; of
several tracks: int64 [SUMS, tags]."""

_POSITIVE = 15
_SCORE = (1 << _POSITIVE) - 1
_ROWS_AT_ONCE = 16_384

_Number = TypeVar("_Number", np.uint16, np.int64)

TagKey = tuple[str, str]
"""(category, tag id). The tags of all values are sorted by it."""


def tag_keys(taxonomy: Taxonomy) -> list[TagKey]:
    """All tags of a taxonomy, sorted."""
    return sorted((category.name, tag.id) for category in taxonomy.categories for tag in category.tags)


def packed_scores(scores: npt.NDArray[np.floating], positives: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint16]:
    """Scores and positives of tracks, [tracks, tags] each, as one integer each: uint16 [tracks, tags]."""
    units: npt.NDArray[np.uint16] = np.rint(scores * SCALE).astype(np.uint16)
    units |= np.left_shift(positives, _POSITIVE, dtype=np.uint16)
    return units


def pieces_of(group_ids: pa.Array, packed: npt.NDArray[np.uint16]) -> pa.Table:
    """Rows of `PIECE`: one of each track, or of all tracks of a group in which these are many.

    Args:
      group_ids: group of each track; null for a track without one, which is left out.
      packed: see `packed_scores`.
    """
    known = group_ids.is_valid().to_numpy(zero_copy_only=False)
    encoded = group_ids.filter(pa.array(known)).dictionary_encode()
    packed, codes = packed[known], encoded.indices.to_numpy()
    counts = np.bincount(codes, minlength=len(encoded.dictionary))
    separate = counts[codes] <= MOST_SEPARATE
    singles = _table(encoded.dictionary.take(pa.array(codes[separate])), np.ones(separate.sum(), int), packed[separate])
    many = np.flatnonzero(counts > MOST_SEPARATE)
    sums = np.zeros((len(many), SUMS, packed.shape[1]), np.int64)
    _add_tracks(sums, np.searchsorted(many, codes[~separate]), packed[~separate])
    return pa.concat_tables([singles, _table(encoded.dictionary.take(pa.array(many)), counts[many], sums)])


def add_pieces(pieces: Sequence[pa.Table], tags: int) -> tuple[pa.Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The sums over pieces of any buckets: groups, sorted; their tracks [groups]; int64 [groups, SUMS, tags].

    The order of the pieces does not matter.
    """
    table = pa.concat_tables([PIECE.empty_table(), *pieces]).combine_chunks()
    groups = pc.unique(table["group_id"])
    groups = groups.take(pc.sort_indices(groups))
    counts, sums = np.zeros(len(groups), np.int64), np.zeros((len(groups), SUMS, tags), np.int64)
    for piece in table.to_batches(_ROWS_AT_ONCE):
        codes, tracks = pc.index_in(piece["group_id"], value_set=groups).to_numpy(), piece["tracks"].to_numpy()
        np.add.at(counts, codes, tracks)
        one = tracks == 1
        _add_tracks(sums, codes[one], _matrix(piece["values"].filter(pa.array(one)), np.uint16, (tags,)))
        more = _matrix(piece["values"].filter(pa.array(~one)), np.int64, (SUMS, tags))
        np.add.at(sums, codes[~one], more)
    return groups, counts, sums


def with_numbers(pieces: pa.Table, buckets: int) -> pa.Table:
    """The pieces with the column `bucket`: number of the bucket of each group."""
    return pieces.append_column("bucket", pa.array(group_numbers(pieces["group_id"].to_pylist(), buckets)))


def split_pieces(numbered: pa.Table) -> Iterator[tuple[int, bytes]]:
    """(bucket, its pieces as an IPC stream) for each bucket of `with_numbers`."""
    return numbered_parts(numbered.drop_columns("bucket"), numbered["bucket"].to_numpy())


def _add_tracks(sums: npt.NDArray[np.int64], codes: npt.NDArray[np.integer], packed: npt.NDArray[np.uint16]) -> None:
    """Adds tracks to the sums of their groups."""
    order = np.argsort(codes, kind="stable")
    for rows in _slices(order):
        own, starts = np.unique(codes[rows], return_index=True)
        values = packed[rows]
        scores = (values & _SCORE).astype(np.int64)
        for place, one in enumerate((scores, scores * scores, (values >> _POSITIVE).astype(np.int64))):
            sums[own, place] += np.add.reduceat(one, starts, axis=0)


def _slices(order: npt.NDArray[np.intp]) -> Iterable[npt.NDArray[np.intp]]:
    return (order[start : start + _ROWS_AT_ONCE] for start in range(0, len(order), _ROWS_AT_ONCE))


def _table(groups: pa.Array, tracks: npt.NDArray[np.int64], values: npt.NDArray[np.generic]) -> pa.Table:
    data = np.ascontiguousarray(values)
    width = data.nbytes // len(groups) if len(groups) else 0
    offsets = np.arange(len(groups) + 1, dtype=np.int64) * width
    packed = pa.Array.from_buffers(
        pa.large_binary(), len(groups), [None, pa.py_buffer(offsets), pa.py_buffer(data.tobytes())]
    )
    return pa.table([groups, pa.array(tracks, pa.int64()), packed], schema=PIECE)


def _matrix(values: pa.LargeBinaryArray, dtype: type[_Number], shape: tuple[int, ...]) -> npt.NDArray[_Number]:
    return np.frombuffer(b"".join(values.to_pylist()), dtype).reshape(len(values), *shape)
