"""The pages of a whole Ogg stream, its packets, and the same stream with other granule positions."""

import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.audio.containers.ogg_pages import page_length, with_checksum

UNSET = -1
"""Position of a page on which no packet ends."""

_GOES_ON = 255
"""Size of a segment after which its packet goes on."""

_POSITION = struct.Struct("<q")
_FLAGS_AT, _POSITION_AT, _TABLE_AT = 5, 6, 27
_END = 4

Int32s = npt.NDArray[np.int32]


class Page(NamedTuple):
    """A page: the bytes [start, stop) of the stream, its position, and the sizes of its segments, which end at `stop`.

    Attributes:
      body: offset of the first segment.
      is_end: whether it is marked as the last page.
    """

    start: int
    body: int
    stop: int
    position: int
    table: bytes
    is_end: bool


def read_pages(stream: bytes) -> Iterator[Page]:
    """The whole pages from the first one on, as far as each begins where the one before it ends."""
    at = stream.find(b"OggS")
    while at >= 0 and stream.startswith(b"OggS", at) and at + _TABLE_AT <= len(stream):
        body, stop = at + _TABLE_AT + stream[at + _TABLE_AT - 1], at + page_length(stream, at)
        if stop > len(stream):
            return
        position = _POSITION.unpack_from(stream, at + _POSITION_AT)[0]
        yield Page(at, body, stop, position, stream[at + _TABLE_AT : body], bool(stream[at + _FLAGS_AT] & _END))
        at = stop


def page_packets(stream: bytes, pages: Iterable[Page]) -> Iterator[bytes]:
    """The packets that end on these pages. A packet is a run of segments, of which each but the last has 255 bytes."""
    packet = b""
    for page in pages:
        at = page.body
        for size in page.table:
            packet += stream[at : at + size]
            at += size
            if size < _GOES_ON:
                yield packet
                packet = b""


def packet_places(pages: Sequence[Page]) -> tuple[Int32s, Int32s]:
    """Offset of each packet, and the index of the page that it ends on. An empty packet has the offset -1."""
    table = np.frombuffer(b"".join([page.table for page in pages]), np.uint8)
    page_of = np.repeat(np.arange(len(pages), dtype=np.int32), [len(page.table) for page in pages])
    closes = table < _GOES_ON
    earlier = itertools.accumulate((page.stop - page.body for page in pages[:-1]), initial=0)
    moved = np.array([page.body - size for page, size in zip(pages, earlier, strict=True)], np.int32)
    starts = np.cumsum(table, dtype=np.int32) - table + moved[page_of]
    begins = np.flatnonzero(np.concatenate([[True], closes[:-1]]))[: np.count_nonzero(closes)]
    return np.where(table[begins] == 0, -1, starts[begins]).astype(np.int32), page_of[closes]


def with_positions(stream: bytes, positions: Iterable[tuple[Page, int]]) -> bytes:
    """The same stream with these positions; the stream itself if it has them all."""
    wrong = [(page, position) for page, position in positions if page.position != position]
    if not wrong:
        return stream
    corrected = bytearray(stream)
    for page, position in wrong:
        _POSITION.pack_into(corrected, page.start + _POSITION_AT, position)
        corrected[page.start : page.stop] = with_checksum(bytes(corrected[page.start : page.stop]))
    return bytes(corrected)
