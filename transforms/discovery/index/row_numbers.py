"""Numbers of the tracks of an index, which stay as they are if only other groups change."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.discovery.index.cells import Int64s

_GROUP_BITS = 22
"""The row of a track is the number of its group, and in so many lower bits its place there: 4,194,304 at most."""


def row_of(group: int, places: Int64s) -> Int64s:
    """Rows of tracks by their places in a group. They stay if only other groups change."""
    return (group << _GROUP_BITS) + places


def group_and_place(rows: Int64s) -> tuple[Int64s, Int64s]:
    """What `row_of` joined."""
    return rows >> _GROUP_BITS, rows & ((1 << _GROUP_BITS) - 1)


class RowValues:
    """A value of each track of some groups.

    Args:
      parts: number of a group -> the values of its tracks.
    """

    def __init__(self, parts: Mapping[int, npt.NDArray[Any]]) -> None:
        sizes = {number: len(part) for number, part in parts.items()}
        self._starts = np.zeros(max(sizes, default=0) + 1, np.int64)
        self._starts[list(sizes)] = np.cumsum([0, *sizes.values()])[:-1]
        self._values = np.concatenate(list(parts.values()))

    def of(self, rows: Int64s) -> npt.NDArray[Any]:
        """The values of rows, in the same shape; that of any track for the row -1."""
        groups, places = group_and_place(np.maximum(rows, 0))
        return self._values.take(self._starts.take(groups, mode="clip") + places, mode="clip")
