"""The genres in the metadata of an MP4 file, as they are written there.

The box `gnre` has a code: that of ID3v1 and 1 more. Libraries convert codes to names, with spellings of their own.
"""

import itertools
from collections.abc import Iterator
from typing import BinaryIO

from transforms.audio.containers.mp4 import Box, Read, boxes, children_start

_PATH = (b"moov", b"udta", b"meta", b"ilst")
_MOST_BOXES = 100_000
"""Most boxes in a row that are skipped: in a file, each costs a read."""
_MOST_TEXT = 1 << 16
"""Most bytes of a genre."""
_DATA_HEAD = 8
"""Bytes of type and locale at the start of the content of `data`."""


def mp4_genres(stream: BinaryIO) -> list[str]:
    """The texts of `©gen` and the codes of `gnre` as ID3 writes them; none if the file is no MP4."""
    end = stream.seek(0, 2)
    stream.seek(4)
    if stream.read(4) not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return []

    def read(start: int, stop: int) -> bytes:
        stream.seek(start)
        return stream.read(max(stop - start, 0))

    start = 0
    for name in _PATH:
        found = next((box for box in _boxes(read, start, end) if box.name == name), None)
        if found is None:
            return []
        start, end = children_start(read, found), found.end
    return [text for box in _boxes(read, start, end) for text in _genres(read, box)]


def _boxes(read: Read, at: int, stop: int) -> Iterator[Box]:
    """The boxes in a row, none of which goes on beyond the end."""
    return (box._replace(end=min(box.end, stop)) for box in itertools.islice(boxes(read, at, stop), _MOST_BOXES))


def _genres(read: Read, item: Box) -> Iterator[str]:
    if item.name not in (b"gnre", b"\xa9gen"):
        return
    for box in _boxes(read, item.body, item.end):
        if box.name != b"data":
            continue
        start = box.body + _DATA_HEAD
        content = read(start, min(box.end, start + _MOST_TEXT))
        if item.name == b"gnre":
            code = int.from_bytes(content[:2])
            yield str(code - 1) if code else ""
        else:
            yield content.decode("utf-8", "replace")
