"""Streams of frames without a file header: MPEG audio, AAC (ADTS, LATM), AC-3, E-AC-3 and DTS.

A single sync word says little: every kind is recognised by several frames in a row, each of the length that it states.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from transforms.audio.containers.metadata_tags import begins_tag
from transforms.audio.containers.mpeg import SEARCH_BYTES, mpeg_frame

_IN_ROW = 4
"""Frames in a row that prove a stream which begins in the middle of other bytes, unless fewer reach the file's end."""

_AT_START = 2
"""The same for a stream that begins where a file or a tag begins or ends."""

_LEAST_SHARE = 0.9
"""Share of the bytes after its first frame that must be frames: in containers, other bytes lie between them."""

_AC3_KBIT = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AC3_WORDS = (2.0, 320 / 147, 3.0)
"""16-bit words of an AC-3 frame for each kbit/s, at 48, 44.1 and 32 kHz."""

_DTS_EXTENSION = b"\x64\x58\x20\x25"
_LARGEST_DTS = 1 << 16


class StreamFrame(NamedTuple):
    """One frame: its bytes, what all frames of its stream share, and the name of its kind."""

    size: int
    shared: object
    kind: str


class Stream(NamedTuple):
    """A stream of frames: the kind's name, and the offset of the first frame."""

    kind: str
    at: int


@dataclasses.dataclass(frozen=True)
class _Family:
    sync: re.Pattern[bytes]
    frame: Callable[[bytes, int], StreamFrame | None]
    in_row: int = _IN_ROW
    at_start: int = _AT_START


def stream_at(data: bytes, at: int, least: int = 0) -> Stream | None:
    """The stream whose first frame is at this offset, by `least` or a few frames in a row; None if there is none."""
    for family in _FAMILIES:
        needed = least or family.at_start
        frames = list(itertools.islice(_row(data, at, family), needed))
        if len(frames) == needed:
            return Stream(frames[0].kind, at)
    return None


def find_stream(data: bytes, start: int, stop: int) -> Stream | None:
    """The first stream that begins in [start, stop) and goes on, by several frames in a row; None if there is none."""
    found: Stream | None = None
    for family in _FAMILIES:
        earlier = _first(data, start, stop, family)
        if earlier is not None:
            found, stop = earlier, earlier.at
    return found


def find_dts(data: bytes) -> int | None:
    """Offset of the first two frames of DTS in a row, or None: only DTS has a sync word that samples do not imitate."""
    return next((match.start() for match in _DTS.sync.finditer(data) if _is_in_row(data, match.start(), _DTS)), None)


def _first(data: bytes, start: int, stop: int, family: _Family) -> Stream | None:
    """The first frames in a row decide: if too few of the bytes after them are frames, they are in a container."""
    matches = family.sync.finditer(data, start, stop + _LONGEST_SYNC - 1)
    places = (match.start() for match in matches if match.start() < stop)
    at = next((at for at in places if _is_in_row(data, at, family)), None)
    frame = family.frame(data, at) if at is not None else None
    if at is None or frame is None or _share(data, at, family) < _LEAST_SHARE:
        return None
    return Stream(frame.kind, at)


def _is_in_row(data: bytes, at: int, family: _Family) -> bool:
    end, count = at, 0
    for frame in _row(data, at, family):
        end, count = end + frame.size, count + 1
        if count >= family.in_row:
            return True
    return count >= family.at_start and end >= len(data)


def _row(data: bytes, at: int, family: _Family) -> Iterator[StreamFrame]:
    """The frames from an offset on, as long as each begins where the one before it ends and is of the same stream."""
    first = frame = family.frame(data, at)
    while frame is not None and first is not None and frame.shared == first.shared:
        yield frame
        at += frame.size
        frame = family.frame(data, at)


def _share(data: bytes, start: int, family: _Family) -> float:
    """Share of the next `SEARCH_BYTES` that are frames."""
    stop, covered, at = min(len(data), start + SEARCH_BYTES), 0, start
    while at < stop:
        last = end = at
        for frame in _row(data, at, family):
            last, end = end, end + frame.size
            if end >= stop:
                break
        is_whole = end >= stop or begins_tag(data, end)
        covered += (end if is_whole else last) - at  # else the last frame may have been cut by other bytes
        following = family.sync.search(data, max(end, at + 1), stop)
        at = following.start() if following else stop
    return covered / (stop - start)


def _mpeg(data: bytes, at: int) -> StreamFrame | None:
    frame = mpeg_frame(data[at : at + 4])
    if frame is None or not frame.size:
        return None
    shared = (frame.version, frame.layer, frame.rate_hz, frame.channels)
    return StreamFrame(frame.size, shared, "mp3" if frame.layer == 3 else "mp2")


def _adts(data: bytes, at: int) -> StreamFrame | None:
    head = data[at : at + 7]
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return None
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return StreamFrame(size, (head[1], head[2] & 0xFD, head[3] & 0xC0), "aac") if size > 7 else None


def _latm(data: bytes, at: int) -> StreamFrame | None:
    head = data[at : at + 3]
    if len(head) < 3 or head[0] != 0x56 or head[1] & 0xE0 != 0xE0:
        return None
    size = (head[1] & 0x1F) << 8 | head[2]
    return StreamFrame(size + 3, None, "aac-latm") if size > 1 else None


def _ac3(data: bytes, at: int) -> StreamFrame | None:
    head = data[at : at + 6]
    if len(head) < 6 or head[:2] != b"\x0b\x77":
        return None
    rate, version = head[4] >> 6, head[5] >> 3
    if 10 < version <= 16:
        return StreamFrame(2 * ((head[2] & 7) << 8 | head[3]) + 2, (True, rate), "eac3")
    size_code = head[4] & 63
    if version > 10 or rate == 3 or size_code >= 2 * len(_AC3_KBIT):
        return None
    words = int(_AC3_KBIT[size_code >> 1] * _AC3_WORDS[rate]) + (size_code & 1 if rate == 1 else 0)
    return StreamFrame(2 * words, (False, rate), "ac3")


def _dts(data: bytes, at: int) -> StreamFrame | None:
    """A core frame in one of four codings: 16 or 14 bits in a word of 16, in either byte order."""
    head = data[at : at + 16]
    coding = next((i for i, sync in enumerate(DTS_SYNC) if head.startswith(sync)), None)
    if coding is None or len(head) < 16:
        return None
    if coding & 1:
        head = bytes(head[i ^ 1] for i in range(16))
    bits = int.from_bytes(head)
    if coding & 2:
        bits = sum((bits >> 16 * (7 - i) & 0x3FFF) << 14 * (7 - i) for i in range(8)) << 16
    size = (bits >> 128 - 60 & 0x3FFF) + 1
    size = -(-size * 8 // 14) * 2 if coding & 2 else size
    if data.startswith(_DTS_EXTENSION, at + size):
        following = data.find(DTS_SYNC[coding], at + size, at + size + _LARGEST_DTS)
        size = following - at if following >= 0 else size
    return StreamFrame(size, coding, "dts") if size >= 96 else None


DTS_SYNC = (b"\x7f\xfe\x80\x01", b"\xfe\x7f\x01\x80", b"\x1f\xff\xe8\x00", b"\xff\x1f\x00\xe8")
"""The sync word of DTS: in 16 and in 14 bits, each with the upper and with the lower byte first."""

_DTS = _Family(re.compile(b"|".join(re.escape(sync) for sync in DTS_SYNC)), _dts, in_row=2)

_LONGEST_SYNC = max(len(sync) for sync in DTS_SYNC)

_FAMILIES = (  # the most common first: where it is found, the others are sought before it only
    _Family(re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xeb]"), _mpeg),
    _Family(re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), _adts),
    _Family(re.compile(rb"\x0b\x77"), _ac3, in_row=3),
    _DTS,
    _Family(re.compile(rb"\x56[\xe0-\xff]"), _latm, in_row=8, at_start=4),
)
