"""Changes of a file as replaced ranges of bytes, which can be reversed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

FieldValues = Mapping[str, Sequence[str]]
"""Name of a field in capitals, such as MOOD -> its values. Without values, the field is removed."""

SEPARATOR = "; "
"""Between the values of a field in ID3 and MP4. Both can have several texts, of which many readers show the first."""


class NotWritable(ValueError):
    """FieldValues cannot be written into this file; the message says why."""


class Splice(NamedTuple):
    """Bytes `start` to `end` of a file become `data`."""

    start: int
    end: int
    data: bytes


def trimmed(data: bytes, splice: Splice) -> Splice:
    """The same change without the bytes that are equal at its beginning and at its end.

    >>> trimmed(b"abcdef", Splice(0, 6, b"abXYef"))
    Splice(start=2, end=4, data=b'XY')
    """
    old, new = data[splice.start : splice.end], splice.data
    first = _equal(old, new)
    last = _equal(old[first:][::-1], new[first:][::-1])
    return Splice(splice.start + first, splice.end - last, new[first : len(new) - last])


def _equal(one: bytes, other: bytes) -> int:
    """The number of equal bytes at the beginning, by bisection."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def spliced(data: bytes, splices: Iterable[Splice]) -> bytes:
    """The file after its changes. The ranges must not overlap.

    >>> spliced(b"abcdef", [Splice(1, 3, b"X"), Splice(4, 4, b"YZ")])
    b'aXdYZef'
    """
    parts, at = [], 0
    for splice in sorted(splices, key=lambda splice: (splice.start, splice.end)):
        if splice.start < at:
            raise ValueError(f"two changes of byte {splice.start}")
        parts += [data[at : splice.start], splice.data]
        at = splice.end
    return b"".join([*parts, data[at:]])


def reversed_splices(data: bytes, splices: Iterable[Splice]) -> list[Splice]:
    """The changes that make the file what it was.

    >>> reversed_splices(b"abcdef", [Splice(1, 3, b"X"), Splice(4, 4, b"YZ")])
    [Splice(start=1, end=2, data=b'bc'), Splice(start=3, end=5, data=b'')]
    """
    shift, reverse = 0, []
    for start, end, new in sorted(splices, key=lambda splice: (splice.start, splice.end)):
        reverse.append(Splice(start + shift, start + shift + len(new), data[start:end]))
        shift += len(new) - (end - start)
    return reverse
