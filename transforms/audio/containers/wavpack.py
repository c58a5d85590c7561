"""The length of a WavPack file, counted in its blocks instead of taken from the first one (versions 4 and 5)."""

import struct

from transforms.audio.containers.metadata_tags import begins_tag

_HEAD = struct.Struct("<4sIHBBIIII")
"""Name, size after the first 8 bytes, version, upper bytes of two numbers, total, first sample, count, flags."""
_INITIAL = 0x800
"""Flag of the first of several blocks that contain different channels of the same samples."""
_TOTAL_AT = 12
_UNKNOWN = 0xFFFFFFFF


def claimed_samples(data: bytes) -> int | None:
    """Samples per channel that the first block claims; None if they are unknown or at least 2^32."""
    if len(data) < _HEAD.size:
        return None
    _, _, _, _, more, total, _, _, _ = _HEAD.unpack_from(data)
    return None if more or total == _UNKNOWN else total


def with_samples(data: bytes, samples: int) -> bytes:
    """The same file with a first block that claims `samples` samples per channel."""
    return data[:_TOTAL_AT] + struct.pack("<I", samples) + data[_TOTAL_AT + 4 :]


def counted_samples(data: bytes) -> int | None:
    """Samples per channel in all blocks; None if the file is cut, damaged, or consists of several joined files."""
    at = counted = start = 0
    origin: int | None = None
    while len(data) >= at + _HEAD.size and data.startswith(b"wvpk", at):
        _, size, _, upper, _, _, first, count, flags = _HEAD.unpack_from(data, at)
        at += 8 + size
        if not count:  # a block of metadata
            continue
        origin = first if origin is None else origin
        if upper or first - origin != (counted if flags & _INITIAL else start):
            return None
        start, counted = first - origin, first - origin + count
    is_whole = at == len(data) or (at < len(data) and begins_tag(data, at))
    return counted if is_whole and counted < _UNKNOWN else None
