"""The genres in the metadata of an MP4 file, as they are written there.

The box `gnre` has a code: that of ID3v1 and 1 more. Libraries convert codes to names, with spellings of their own.
"""

from collections.abc import Iterator
from typing import BinaryIO

_PATH = (b"moov", b"udta", b"meta", b"ilst")
_MOST_BOXES = 100_000
"""Most boxes in a row that are skipped."""
_MOST_TEXT = 1 << 16
"""Most bytes of a genre."""
_VERSION_BYTES = 4
"""Bytes of version and flags at the start of the content of `meta`; QuickTime leaves them out."""
_DATA_HEAD = 8
"""Bytes of type and locale at the start of the content of `data`."""


def mp4_genres(stream: BinaryIO) -> list[str]:
    """The texts of `©gen` and the codes of `gnre` as ID3 writes them; none if the file is no MP4."""
    end = stream.seek(0, 2)
    stream.seek(4)
    if stream.read(4) not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return []
    start = 0
    for name in _PATH:
        found = next(((at, stop) for kind, at, stop in _boxes(stream, start, end) if kind == name), None)
        if found is None:
            return []
        start, end = found
        if name == b"meta" and not _begins_with_box(stream, start):
            start += _VERSION_BYTES
    return [text for kind, at, stop in _boxes(stream, start, end) for text in _genres(stream, kind, at, stop)]


def _begins_with_box(stream: BinaryIO, at: int) -> bool:
    stream.seek(at + 4)
    return stream.read(4) in (b"hdlr", b"ilst", b"mhdr", b"keys", b"free")


def _boxes(stream: BinaryIO, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset of the content and end of each box in a row."""
    for _ in range(_MOST_BOXES):
        stream.seek(at)
        head = stream.read(16)
        if at + 8 > stop or len(head) < 8:
            return
        size, name, skipped = int.from_bytes(head[:4]), head[4:8], 8
        if size == 1:
            size, skipped = int.from_bytes(head[8:16]), 16
        size = stop - at if size == 0 else size
        if size < skipped:
            return
        yield name, at + skipped, min(at + size, stop)
        at += size


def _genres(stream: BinaryIO, kind: bytes, start: int, end: int) -> Iterator[str]:
    if kind not in (b"gnre", b"\xa9gen"):
        return
    for name, at, stop in _boxes(stream, start, end):
        if name != b"data":
            continue
        stream.seek(at + _DATA_HEAD)
        content = stream.read(max(min(stop - at - _DATA_HEAD, _MOST_TEXT), 0))
        if kind == b"gnre":
            code = int.from_bytes(content[:2])
            yield str(code - 1) if code else ""
        else:
            yield content.decode("utf-8", "replace")
