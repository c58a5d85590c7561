"""The boxes of an MP4 (ISO 14496-12), or atoms of QuickTime: one walker, for bytes and for files.

It also tells whether the file contains its own audio, and whether it is complete.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from transforms.audio.errors import FormatNotAllowed, ImplausibleHeader

MOST_BOXES = 1_000_000
"""Most boxes in a row. A fragment of one second takes two."""

DEEPEST = 8
"""Most boxes within each other that are followed. The standard nests six."""

Read = Callable[[int, int], bytes]
"""Returns the bytes of a file from one offset to another, fewer at its end."""

_HEAD_BYTES = 16
_VERSION_BYTES = 4
"""Bytes of version and flags at the start of the content of `meta`; QuickTime leaves them out."""
_FIRST_IN_META = (b"hdlr", b"ilst", b"mhdr", b"keys", b"free")

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"dinf")
_SELF_CONTAINED = 1


class Box(NamedTuple):
    """Where a box begins, where its content begins, and where it ends by its own claim, perhaps beyond the file."""

    name: bytes
    at: int
    body: int
    end: int


def bytes_of(data: bytes) -> Read:
    """The reader of bytes in memory."""
    return lambda start, end: data[start:end]


def boxes(read: Read, at: int, stop: int) -> Iterator[Box]:
    """Yields the boxes in a row from `at` on. It ends at `stop`, or before bytes that are no box.

    Raises:
      ImplausibleHeader: there are more than `MOST_BOXES`.
    """
    for _ in range(MOST_BOXES):
        head = read(at, min(at + _HEAD_BYTES, stop)) if at + 8 <= stop else b""
        if len(head) < 8:
            return
        size, name, length = int.from_bytes(head[:4]), head[4:8], 8
        if size == 1:
            size, length = int.from_bytes(head[8:16]), 16
        if size == 0:
            size = stop - at
        if size < length:
            return
        yield Box(name, at, at + length, at + size)
        at += size
    raise ImplausibleHeader(f"more than {MOST_BOXES} boxes")


def children_start(read: Read, box: Box) -> int:
    """Where the first box in a box begins."""
    is_full = box.name == b"meta" and read(box.body + 4, box.body + 8) not in _FIRST_IN_META
    return box.body + _VERSION_BYTES if is_full else box.body


def missing_bytes(data: bytes) -> int:
    """Number of bytes that the last box claims beyond the end of the file."""
    end = max((box.end for box in boxes(bytes_of(data), 0, len(data))), default=0)
    return max(0, end - len(data))


def refuse_references(data: bytes) -> None:
    """Refuses an MP4 whose audio is in another file.

    Raises:
      FormatNotAllowed: the file refers to another file.
      ImplausibleHeader: boxes are nested deeper than any writer nests them, or there are too many.
    """
    _refuse_within(bytes_of(data), 0, len(data), 0)


def _refuse_within(read: Read, start: int, stop: int, depth: int) -> None:
    if depth > DEEPEST:
        raise ImplausibleHeader(f"more than {DEEPEST} boxes within each other")
    for box in boxes(read, start, stop):
        end = min(box.end, stop)
        if box.name == b"rmra":
            raise FormatNotAllowed("it is a QuickTime reference movie")
        if box.name == b"dref":
            _refuse_entries(read, box.body + 8, end)
        if box.name in _PARENTS:
            _refuse_within(read, box.body, end, depth + 1)


def _refuse_entries(read: Read, start: int, stop: int) -> None:
    for box in boxes(read, start, stop):
        flags = int.from_bytes(read(box.body, box.body + 4))
        if not flags & _SELF_CONTAINED:
            raise FormatNotAllowed(f"its audio lies in another file (a {box.name.decode('latin-1')!r} reference)")
