"""Boxes of an MP4: whether the file contains its own audio, and whether it is complete."""

from collections.abc import Iterator

from transforms.audio.errors import FormatNotAllowed, ImplausibleHeader

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"dinf")
_DEEPEST = 8
"""Most nested parents. The standard nests the five of `_PARENTS`, each in the one before it."""
_MOST_BOXES = 1_000_000
"""Most boxes in a row. A fragment of one second takes two."""
_SELF_CONTAINED = 1


def missing_bytes(data: bytes) -> int:
    """Number of bytes that the last box claims beyond the end of the file."""
    end = max((stop for _, _, stop in _boxes(data, 0, len(data))), default=0)
    return max(0, end - len(data))


def refuse_references(data: bytes) -> None:
    """Refuses an MP4 whose audio is in another file.

    Raises:
      FormatNotAllowed: the file refers to another file.
      ImplausibleHeader: boxes are nested deeper than any writer nests them, or there are too many.
    """
    _refuse_within(data, 0, len(data), 0)


def _refuse_within(data: bytes, start: int, stop: int, depth: int) -> None:
    if depth > _DEEPEST:
        raise ImplausibleHeader(f"more than {_DEEPEST} boxes within each other")
    for name, first, last in _boxes(data, start, stop):
        if name == b"rmra":
            raise FormatNotAllowed("it is a QuickTime reference movie")
        if name == b"dref":
            _refuse_entries(data, first + 8, last)
        if name in _PARENTS:
            _refuse_within(data, first, last, depth + 1)


def _refuse_entries(data: bytes, start: int, stop: int) -> None:
    for name, first, _ in _boxes(data, start, stop):
        flags = int.from_bytes(data[first : first + 4])
        if not flags & _SELF_CONTAINED:
            raise FormatNotAllowed(f"its audio lies in another file (a {name.decode('latin-1')!r} reference)")


def _boxes(data: bytes, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yields the name, the offset of the content and the claimed end of each box in a row."""
    for _ in range(_MOST_BOXES):
        if at + 8 > min(stop, len(data)):
            return
        size, name, head = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16]), 16
        if size == 0:
            size = stop - at
        if size < head:
            return
        yield name, at + head, at + size
        at += size
    raise ImplausibleHeader(f"more than {_MOST_BOXES} boxes")
