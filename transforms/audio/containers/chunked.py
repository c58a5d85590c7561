"""Where the audio lies in WAV, W64, AIFF, CAF and AU files, and how many bytes of it their headers claim."""

import dataclasses
import re
import struct
from collections.abc import Iterator

from transforms.audio.containers.metadata_tags import begins_tag

_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_MOST_CHUNKS = 10_000
"""Chunks before the audio that are passed over."""
_NAME = re.compile(rb"[A-Za-z0-9_ ]{4}")
"""A chunk's name, also of one that is cut."""
_LEAST_OF_A_NAME = 3
"""Characters that can be printed in a chunk's name of four, where its size fits the file."""
_ARCHIVES = (b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b")
_LOOKED_AT = 1 << 16
"""Bytes behind the audio that tell what stands there."""
_UNCOUNTED = 8
"""Bytes at the beginning of an AIFF's sound that some writers do not count."""
_LEAST_REST = 20
"""What lies behind the audio is no more of it where it is less than the audio by so many times."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Audio:
    """The audio of a file.

    Attributes:
      at: its first byte.
      claimed: bytes of it by the header; negative where that says that it doesn't know.
      size_at: where that number stands.
      layout: how it is written, in `struct`'s terms.
      head: bytes that it counts beside the audio.
      codec: WAV's format tag; 0 in other containers.
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
    """A number of the file, 0 where that is too short for it."""
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
    """The data chunk of a Sony Wave64: chunks of 16 bytes of name, a size that counts its own head, steps of 8."""
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
    """What follows the header of an AU."""
    if len(data) < 12:
        return None
    offset, size = struct.unpack_from(">II", data, 4)
    return Audio(at=offset, claimed=size, size_at=8, layout=">I")


def with_claimed(data: bytes, audio: Audio, size: int) -> bytes:
    """The same file, its header claiming so many bytes of audio."""
    claim = size + audio.head if audio.layout[1] != "I" else min(size, 0xFFFFFFFE)
    written = struct.pack(audio.layout, claim)
    return data[: audio.size_at] + written + data[audio.size_at + len(written) :]


def goes_on(data: bytes, audio: Audio) -> bool:
    """Whether audio goes on behind what is claimed: so much that it matters, and no chunk, tag, text or padding."""
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
    """Whether a tag begins here, or a chunk: by its name, and a size that the file has room for."""
    if audio.head:
        return audio.head <= _number(data, at + 16, "<Q") <= len(data) - at
    name, layout = data[at : at + 4], audio.layout if audio.layout == ">q" else audio.layout[0] + "I"
    is_named = sum(0x20 <= byte < 0x7F for byte in name) >= _LEAST_OF_A_NAME
    fits = is_named and _number(data, at + 4, layout) <= len(data) - at
    return fits or _NAME.fullmatch(name) is not None or begins_tag(data, at)
