"""MPEG audio (MP3, MP2, MP1) frame by frame: frames present, bytes lost, and the length that the tag claims."""

import array
import dataclasses
import functools
import itertools
import re
import struct
from collections.abc import Sequence

from transforms.audio.containers.metadata_tags import begins_tag, tags_end

_BITRATES = {
    (3, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit/s by (version bits, layer bits). Versions 2 and 2.5 use key 2; their layers 2 and 3 share a row."""
_RATES = (44_100, 48_000, 32_000)
_VBRI = 36
"""Offset of a VBRI tag in its frame."""
_TWO_FRAMES = 6000
"""Most bytes of two frames."""
_LARGEST_FREE = 1 << 13
"""Most bytes of a frame in the free format: more than those of 640 kbit/s, the most that encoders write."""
_FREE_IN_ROW = 6
"""Frames after the first one that prove a stream in the free format."""
SEARCH_BYTES = 1 << 17
"""Bytes from the start of a file that are searched for the first frame."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MpegFrame:
    """A frame header. `size` in bytes (0 in the free format), `side_info` in bytes, `channels` 1 or 2."""

    version: int
    layer: int
    rate_hz: int
    samples: int
    size: int
    side_info: int
    channels: int


def mpeg_frame(head: bytes) -> MpegFrame | None:
    """Parses the frame header in the first 4 bytes; returns None if they are not a header."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer_bits = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate_index = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer_bits == 0 or bitrate == 15 or rate_index == 3:
        return None
    rate = _RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    samples = {3: 384, 2: 1152, 1: 1152 if version == 3 else 576}[layer_bits]
    table = _BITRATES[3, layer_bits] if version == 3 else _BITRATES[2, max(layer_bits, 2)]
    slot = 4 if layer_bits == 3 else 1
    size = (samples // 8 * table[bitrate - 1] * 1000 // rate // slot + (head[2] >> 1 & 1)) * slot if bitrate else 0
    mono, full = head[3] >> 6 == 3, version == 3
    side_info = (17 if mono else 32) if full else (9 if mono else 17)
    return MpegFrame(
        version=version,
        layer=4 - layer_bits,
        rate_hz=rate,
        samples=samples,
        size=size,
        side_info=side_info,
        channels=1 if mono else 2,
    )


def find_mpeg_frame(data: bytes) -> int | None:
    """Offset of the first frame that is followed by another one of the same kind, or None."""
    at = data.find(b"\xff")
    while at >= 0:
        frame = mpeg_frame(data[at : at + 4])
        if frame is not None and frame.size and _is_followed(data, at, frame):
            return at
        at = data.find(b"\xff", at + 1)
    return None


def is_free_format(data: bytes, at: int) -> bool:
    """Whether frames in the free format begin here: they do not state their size, which is the same for all of them."""
    frame = mpeg_frame(data[at : at + 4])
    if frame is None or frame.size or frame.layer != 3:
        return False
    like = re.compile(
        re.escape(data[at : at + 2]) + rb"[\x%02x-\x%02x]" % (data[at + 2] & 0x0C, data[at + 2] & 0x0C | 3)
    )
    for match in like.finditer(data, at + 4 + frame.side_info, at + _LARGEST_FREE):
        size, end, count = match.start() - at, match.start(), 1
        # A frame may have one byte of padding more than the first one, or less.
        while count < _FREE_IN_ROW and (following := like.search(data, end + size - 1, end + size + 4)):
            end, count = following.start(), count + 1
        if count == _FREE_IN_ROW:
            return True
    return False


def _is_followed(data: bytes, at: int, frame: MpegFrame) -> bool:
    following = mpeg_frame(data[at + frame.size : at + frame.size + 4])
    return following is not None and _kind(following) == _kind(frame)


def _kind(frame: MpegFrame) -> tuple[int, int, int, int]:
    return frame.version, frame.layer, frame.rate_hz, frame.channels


@dataclasses.dataclass(frozen=True, kw_only=True)
class MpegScan:
    """Frames of a file.

    Attributes:
      spans: byte ranges [start, stop) of contiguous whole frames of the first frame's kind.
      starts: offsets of those frames, including the frame of a length tag.
      head: the first frame.
      tag_frames: frames that a Xing, Info or VBRI tag claims; None if there is no such tag.
      is_vbri: whether it is a VBRI tag, which libsndfile skips without reading it.
      lost_bytes: bytes between spans that are neither tags nor padding after tags.
      joins: number of times that audio of the same kind continues after tags, as in joined files.
      end: where the last span's tags end.
      is_cut: whether the file ends within a frame.
      has_other_kind: whether frames of another rate, layer or number of channels follow.
    """

    spans: tuple[tuple[int, int], ...]
    starts: Sequence[int]
    head: MpegFrame
    tag_frames: int | None
    is_vbri: bool
    lost_bytes: int
    joins: int
    end: int
    is_cut: bool
    has_other_kind: bool

    @property
    def frames(self) -> int:
        """Number of frames, including the frame of a length tag."""
        return len(self.starts)


def scan_mpeg(data: bytes, start: int = 0) -> MpegScan | None:
    """Scans all frame headers of a file from `start` on; returns None if no two frames are in a row."""
    offset = find_mpeg_frame(data[start : start + SEARCH_BYTES])
    first = start + (offset or 0)
    head = mpeg_frame(data[first : first + 4])
    if offset is None or head is None:
        return None
    sizes = _sizes_like(*_kind(head))
    spans: list[tuple[int, int]] = []
    starts = array.array("q")
    lost = joins = 0
    at: int | None = first
    while at is not None:
        stop = _walk(data, at, len(data), sizes, starts)
        spans.append((at, stop))
        after = tags_end(data, stop)
        at = _resync(data, after, head)
        if at is not None:
            is_padding = after > stop and not data[after:at].strip(b"\0")
            lost += 0 if is_padding else at - after
            joins += after > stop or begins_tag(data, after)
    return MpegScan(
        spans=tuple(spans),
        starts=starts,
        head=head,
        tag_frames=_tag_frames(data, first, head),
        is_vbri=data.startswith(b"VBRI", first + _VBRI),
        lost_bytes=lost,
        joins=joins,
        end=after,
        is_cut=0 < len(data) - stop < sizes.get(data[stop : stop + 4], 0),
        has_other_kind=find_mpeg_frame(data[after : after + SEARCH_BYTES]) is not None,
    )


@functools.lru_cache
def _sizes_like(version: int, layer: int, rate_hz: int, channels: int) -> dict[bytes, int]:
    """Frame size by the header's four bytes, for all headers of one kind."""
    sizes = {}
    seconds = [0xE0 | version << 3 | (4 - layer) << 1 | protection for protection in (0, 1)]
    for second, third, mode in itertools.product(seconds, range(0x100), range(0, 0x100, 0x40)):
        frame = mpeg_frame(bytes((0xFF, second, third, mode)))
        if frame is not None and frame.size and (frame.rate_hz, frame.channels) == (rate_hz, channels):
            sizes.update({bytes((0xFF, second, third, mode | rest)): frame.size for rest in range(0x40)})
    return sizes


def _walk(data: bytes, at: int, end: int, sizes: dict[bytes, int], starts: "array.array[int]") -> int:
    """Appends the offsets of the whole frames in a row in [at, end) to `starts`; returns their end."""
    while (size := sizes.get(data[at : at + 4])) is not None and at + size <= end:
        starts.append(at)
        at += size
    return at


@functools.lru_cache
def _beginning(version: int, layer: int, rate_hz: int, channels: int) -> re.Pattern[bytes]:
    """A pattern of the first two bytes of headers of one kind."""
    seconds = {head[1] for head in _sizes_like(version, layer, rate_hz, channels)}
    return re.compile(b"\xff[" + b"".join(b"\\x%02x" % second for second in sorted(seconds)) + b"]")


def _resync(data: bytes, at: int, head: MpegFrame) -> int | None:
    """Offset of the next two frames in a row of the kind of `head`, or None."""
    sizes = _sizes_like(*_kind(head))
    for match in _beginning(*_kind(head)).finditer(data, at):
        begin = match.start()
        found = array.array("q")
        _walk(data, begin, min(begin + _TWO_FRAMES, len(data)), sizes, found)
        if len(found) >= 2:
            return begin
    return None


def _tag_frames(data: bytes, first: int, head: MpegFrame) -> int | None:
    """Audio frames that the length tag in the first frame claims; None if there is no tag."""
    xing = first + 4 + head.side_info
    if data[xing : xing + 4] in (b"Xing", b"Info") and len(data) >= xing + 12 and data[xing + 7] & 1:
        return int.from_bytes(data[xing + 8 : xing + 12])
    vbri = first + _VBRI
    if data[vbri : vbri + 4] == b"VBRI" and len(data) >= vbri + 18:
        return int.from_bytes(data[vbri + 14 : vbri + 18])
    return None


def with_length_tag(data: bytes, scan: MpegScan, *, keep_tag: bool, claimed: int | None = None) -> bytes:
    """Returns only the whole frames of a file, after a length tag.

    That is the file's own tag, or a new Xing tag that states `claimed` frames or, without them, the scanned frames.
    """
    body = [data[start:stop] for start, stop in scan.spans]
    if keep_tag:
        return b"".join(body)
    first = scan.spans[0][0]
    if scan.tag_frames is not None:
        body[0] = body[0][scan.head.size :]
    frames = scan.frames - (scan.tag_frames is not None)
    return b"".join([_length_frame(data[first : first + 4], claimed or frames), *body])


def _length_frame(header: bytes, frames: int) -> bytes:
    """A silent frame of the same kind that contains a Xing tag."""
    for bitrate in range(1, 15):
        candidate = bytes((0xFF, header[1] | 1, header[2] & 0x0C | bitrate << 4, header[3]))
        frame = mpeg_frame(candidate)
        if frame is not None and frame.size >= frame.side_info + 24:
            tag = candidate + bytes(frame.side_info) + b"Xing" + struct.pack(">II", 1, frames)
            return tag.ljust(frame.size, b"\0")
    raise AssertionError(f"no frame size holds a length tag for header {header.hex()}")
