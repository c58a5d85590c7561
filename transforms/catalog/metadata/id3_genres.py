"""The genres and the MusicBrainz id in the ID3 tags of a file, as they are written there.

Libraries convert a genre's code to a name, and lose the text and the codes after the first one. Few read frames of ids.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

_V1 = 128
_MOST_TAG = 1 << 28
"""Most bytes of a tag; the format allows no more."""
_MOST_TEXT = 1 << 16
"""Most bytes of a frame with genres."""
_MUSICBRAINZ = b"http://musicbrainz.org\0"
"""Owner of the frame in which MusicBrainz Picard writes the id of the recording."""
_CODECS = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}


def id3_genres(stream: BinaryIO) -> list[str]:
    """The texts of the genre frames at the start of a file, or in a chunk of WAV and AIFF; else the code of ID3v1."""
    found = [
        text
        for name, content in _file_frames(stream)
        if name in (b"TCON", b"TCO") and content[:1]
        for text in _texts(content)
    ]
    stream.seek(0)
    return found or ([] if stream.read(4) in (b"RIFF", b"FORM") else _v1_genre(stream))


def id3_recording_id(stream: BinaryIO) -> str | None:
    """The MusicBrainz id of the recording in a frame `UFID`."""
    for name, content in _file_frames(stream):
        if name in (b"UFID", b"UFI") and content.startswith(_MUSICBRAINZ):
            return content[len(_MUSICBRAINZ) :].decode("ascii", "replace").strip("\0 ")
    return None


def _file_frames(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The frames of the tag at the start of a file, or in a chunk of WAV and AIFF."""
    stream.seek(0)
    start = stream.read(12)
    if start[:3] == b"ID3":
        stream.seek(0)
        yield from _tag_frames(stream)
    elif start[:4] in (b"RIFF", b"FORM"):
        yield from _chunk_frames(stream, "<I" if start[:4] == b"RIFF" else ">I")


def _v1_genre(stream: BinaryIO) -> list[str]:
    stream.seek(max(stream.seek(0, 2) - _V1, 0))
    tag = stream.read(_V1)
    return [str(tag[127])] if len(tag) == _V1 and tag[:3] == b"TAG" else []


def _chunk_frames(stream: BinaryIO, size_format: str) -> Iterator[tuple[bytes, bytes]]:
    stream.seek(12)
    while len(head := stream.read(8)) == 8:
        size = struct.unpack(size_format, head[4:])[0]
        after = stream.tell() + size + size % 2
        if head[:4] in (b"id3 ", b"ID3 "):
            yield from _tag_frames(stream)
        stream.seek(after)


def _tag_frames(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The frames of the tag that begins at the stream's position."""
    head = stream.read(10)
    if len(head) < 10 or head[:3] != b"ID3" or head[3] not in (2, 3, 4):
        return
    version, flags = head[3], head[5]
    body = stream.read(min(_synchsafe(head[6:]), _MOST_TAG))
    if flags & 0x80 and version < 4:
        body = body.replace(b"\xff\x00", b"\xff")
    yield from _frames(body, version, extended=bool(flags & 0x40))


def _frames(body: bytes, version: int, *, extended: bool) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of each frame."""
    at = 0
    if extended and version > 2:
        size = _synchsafe(body[:4]) if version == 4 else int.from_bytes(body[:4]) + 4
        at = size
    name_size, head_size = (3, 6) if version == 2 else (4, 10)
    while len(body) - at >= head_size and body[at] != 0:
        name, sizes = body[at : at + name_size], body[at + name_size : at + 2 * name_size]
        size = _synchsafe(sizes) if version == 4 else int.from_bytes(sizes)
        flags = body[at + 9] if version > 2 else 0
        content = body[at + head_size : at + head_size + min(size, _MOST_TEXT)]
        yield name, _plain(content, version, flags)
        at += head_size + size


def _plain(content: bytes, version: int, flags: int) -> bytes:
    """The content of a frame without the encodings that its flags state; nothing if it is encrypted."""
    if version == 3:
        compressed, encrypted, skipped = flags & 0x80, flags & 0x40, 4 if flags & 0x80 else 0
    elif version == 4:
        compressed, encrypted, skipped = flags & 0x08, flags & 0x04, 4 if flags & 0x01 else 0
        content = content.replace(b"\xff\x00", b"\xff") if flags & 0x02 else content
    else:
        return content
    if encrypted:
        return b""
    content = content[skipped:]
    if not compressed:
        return content
    try:
        return zlib.decompressobj().decompress(content, _MOST_TEXT)
    except zlib.error:
        return b""


def _texts(content: bytes) -> Iterator[str]:
    """The texts of a frame, which zeros separate."""
    codec = _CODECS.get(content[0], "latin-1")
    text = content[1:]
    if codec == "utf-16" and text[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        codec = "utf-16-le"
    for part in text.decode(codec, "replace").split("\0"):
        if plain := part.strip("\ufeff\ufffe "):
            yield plain


def _synchsafe(data: bytes) -> int:
    size = 0
    for byte in data[:4]:
        size = size << 7 | byte & 0x7F
    return size
