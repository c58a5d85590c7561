"""Where the audio of WAV, W64, AIFF, CAF and AU files is, and how many bytes of it the header claims."""

import dataclasses
import re
import struct
from collections.abc import Iterator

from transforms.audio.containers.metadata_tags import begins_tag

_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_MOST_CHUNKS = 10_000
"""Most chunks that are skipped before the audio."""
_NAME = re.compile(rb"[A-Za-z0-9_ ]{4}")
"""The name of a chunk. A match suffices even if the file ends within the chunk."""
_LEAST_OF_A_NAME = 3
"""Fewest printable characters in the 4 bytes of a chunk's name, if the chunk's size fits the file."""
_ARCHIVES = (b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b")
_LOOKED_AT = 1 << 16
"""Bytes after the claimed audio that are examined."""
_UNCOUNTED = 8
"""Bytes at the start of an AIFF's sound chunk that some writers do not count."""
_LEAST_REST = 20
"""Bytes after the claimed audio count as audio only if they are at least 1/20 of it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Audio:
    """The audio of a file.

    Attributes:
      at: offset of its first byte.
      claimed: number of bytes that the header claims; negative if the header marks it as unknown.
      size_at: offset of that number in the header.
      layout: `struct` format of that number.
      head: bytes that the number includes in addition to the audio.
      codec: format tag of a WAV; 0 in other containers.
    """

    at: int
    claimed: int
    size_at: int
    layout: str
    head: int = 0
    codec: int = 0


_Chunk = tuple[bytes, int, int]
"""Name, offset of the content, claimed size."""


def _chunks(data: bytes, at: int, layout: str, *, is_padded: bool) -> Iterator[_Chunk]:
    head = struct.Struct(layout)
    for _ in range(_MOST_CHUNKS):
        if at + head.size > len(data):
            return
        name, size = head.unpack_from(data, at)
        yield name, at + head.size, size
        at += head.size + max(0, size) + (size & 1 if is_padded else 0)


def _number(data: bytes, at: int, layout: str) -> int:
    """A number in the file; 0 if the file ends before it."""
    size = struct.calcsize(layout)
    return int(struct.unpack_from(layout, data, at)[0]) if len(data) >= at + size else 0


def wav_audio(data: bytes) -> Audio | None:
    """The data chunk of a WAV, RIFX or RF64."""
    order = ">" if data[:4] == b"RIFX" else "<"
    wide_at, codec = 0, 0
    for name, at, size in _chunks(data, 12, order + "4sI", is_padded=True):
        if name == b"ds64" and len(data) >= at + 16:
            wide_at = at + 8
        if name == b"fmt ":
            codec = _number(data, at, order + "H")
        if name == b"data" and wide_at and size == 0xFFFFFFFF:
            return Audio(at=at, claimed=_number(data, wide_at, "<Q"), size_at=wide_at, layout="<Q", codec=codec)
        if name == b"data":
            return Audio(at=at, claimed=size, size_at=at - 4, layout=order + "I", codec=codec)
    return None


def w64_audio(data: bytes) -> Audio | None:
    """The data chunk of a Sony Wave64: 16-byte names, sizes that include the chunk's head, chunks aligned to 8."""
    at = 40
    for _ in range(_MOST_CHUNKS):
        size = _number(data, at + 16, "<Q")
        if data.startswith(_W64_DATA, at):
            return Audio(at=at + 24, claimed=size - 24, size_at=at + 16, layout="<Q", head=24)
        at += max(24, size + 7 & ~7)
    return None


def aiff_audio(data: bytes) -> Audio | None:
    """The sound chunk of an AIFF or AIFC."""
    for name, at, size in _chunks(data, 12, ">4sI", is_padded=True):
        if name == b"SSND":
            return Audio(at=at, claimed=size, size_at=at - 4, layout=">I")
    return None


def caf_audio(data: bytes) -> Audio | None:
    """The data chunk of a CAF."""
    for name, at, size in _chunks(data, 8, ">4sq", is_padded=False):
        if name == b"data":
            return Audio(at=at, claimed=size, size_at=at - 8, layout=">q")
    return None


def au_audio(data: bytes) -> Audio | None:
    """The bytes after the header of an AU."""
    if len(data) < 12:
        return None
    offset, size = struct.unpack_from(">II", data, 4)
    return Audio(at=offset, claimed=size, size_at=8, layout=">I")


def with_claimed(data: bytes, audio: Audio, size: int) -> bytes:
    """The same file with a header that claims `size` bytes of audio."""
    claim = size + audio.head if audio.layout[1] != "I" else min(size, 0xFFFFFFFE)
    written = struct.pack(audio.layout, claim)
    return data[: audio.size_at] + written + data[audio.size_at + len(written) :]


def goes_on(data: bytes, audio: Audio) -> bool:
    """Whether a relevant amount of audio follows the claimed bytes, and not a chunk, tag, text, archive or padding."""
    end = audio.at + audio.claimed
    if not audio.claimed:
        return not _is_no_audio(data, end, audio)
    if (len(data) - end) * _LEAST_REST < audio.claimed:
        return False
    rest = data[end : end + _LOOKED_AT]
    begin = end + len(rest) - len(rest.lstrip(b"\0"))
    places = {end, end + 1, end + 7 & ~7, end + _UNCOUNTED, begin, begin & ~1}
    is_padding = not rest.strip(rest[:1]) or begin == end + len(rest)
    is_text = data[begin : begin + 32].isascii() or data.startswith(_ARCHIVES, begin)
    return not (is_padding or is_text or any(_is_no_audio(data, at, audio) for at in places))


def _is_no_audio(data: bytes, at: int, audio: Audio) -> bool:
    """Whether a tag or a chunk begins here. A chunk is recognised by its name, or by a size that fits the file."""
    if audio.head:
        return audio.head <= _number(data, at + 16, "<Q") <= len(data) - at
    name, layout = data[at : at + 4], audio.layout if audio.layout == ">q" else audio.layout[0] + "I"
    is_named = sum(0x20 <= byte < 0x7F for byte in name) >= _LEAST_OF_A_NAME
    fits = is_named and _number(data, at + 4, layout) <= len(data) - at
    return fits or _NAME.fullmatch(name) is not None or begins_tag(data, at)
