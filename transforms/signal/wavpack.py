"""Length of a WavPack file by its last block, whatever its first one claims (the format's version 4 and 5)."""

import dataclasses
import struct

from transforms.signal.tags import begins_tag

_HEAD = struct.Struct("<4sIHBBIII")
"""Name, bytes behind the first 8, version, upper bytes of two numbers, all samples, the block's first, their count."""
_TOTAL_AT = 12
_UNKNOWN = 0xFFFFFFFF
_MOST_SAMPLES = 1 << 20
_LARGEST_BLOCK = 1 << 22
"""How far from the end the last block is looked for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LastBlock:
    """Samples a channel up to its end, and whether it is all there and nothing but tags behind it."""

    samples: int
    is_whole: bool


def claimed_samples(data: bytes) -> int | None:
    """Samples a channel that the first block claims, None where it doesn't know or there are 2^32 or more."""
    if len(data) < _HEAD.size:
        return None
    _, _, _, _, more, total, _, _ = _HEAD.unpack_from(data)
    return None if more or total == _UNKNOWN else total


def with_samples(data: bytes, samples: int) -> bytes:
    """The same file, its first block claiming so many samples a channel."""
    return data[:_TOTAL_AT] + struct.pack("<I", samples) + data[_TOTAL_AT + 4 :]


def last_block(data: bytes) -> LastBlock | None:
    """The last block of audio, None where none is found."""
    at = len(data)
    while (at := data.rfind(b"wvpk", max(0, len(data) - _LARGEST_BLOCK), at)) >= 0:
        if len(data) < at + _HEAD.size:
            continue
        _, size, version, upper, _, _, first, count = _HEAD.unpack_from(data, at)
        if version != int.from_bytes(data[8:10], "little") or upper or not 0 < count <= _MOST_SAMPLES:
            continue
        stop = at + 8 + size
        return LastBlock(samples=first + count, is_whole=stop == len(data) or begins_tag(data, stop))
    return None
