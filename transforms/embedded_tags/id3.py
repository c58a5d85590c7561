"""FieldValues of an MPEG audio file: frames of the ID3v2 tag at its start (id3.org: 2.2.0, 2.3.0, 2.4.0).

A field becomes a frame `TXXX`, but GENRE and MOOD have frames of their own. Frames that are not replaced keep their
bytes, and the tag its version; a file without a tag gets one of version 2.4.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from transforms.embedded_tags.splices import SEPARATOR, FieldValues, NotWritable, Splice

_UNSYNCHRONISED, _EXTENDED, _FOOTER = 0x80, 0x40, 0x10
_MOST_BYTES = (1 << 28) - 1
_OWN = {2: {"GENRE": b"TCO"}, 3: {"GENRE": b"TCON"}, 4: {"GENRE": b"TCON", "MOOD": b"TMOO"}}
"""Version -> field -> its own frame."""
_USER = {2: b"TXX", 3: b"TXXX", 4: b"TXXX"}
_UTF_16, _UTF_8 = 1, 3
_CODECS = ("latin-1", "utf-16", "utf-16-be", "utf-8")


class _Frame(NamedTuple):
    name: bytes
    flags: bytes
    body: bytes


def id3_splices(data: bytes, fields: FieldValues) -> list[Splice]:
    """The changes of an MPEG audio file with or without an ID3v2 tag.

    Raises:
      NotWritable: the tag is damaged or of another version.
    """
    if not data.startswith(b"ID3"):
        return [Splice(0, 0, _tag(4, _new_frames(4, fields)))] if any(fields.values()) else []
    version, flags = data[3], data[5]
    if version not in _OWN or (version == 2 and flags & _EXTENDED):
        raise NotWritable(f"its ID3 tag has version 2.{version} or is compressed")
    end = 10 + _syncsafe(data[6:10])
    body = data[10:end]
    if end > len(data):
        raise NotWritable("its ID3 tag is longer than the file")
    if flags & _UNSYNCHRONISED and version < 4:
        body = body.replace(b"\xff\0", b"\xff")
    body = body[_extended_size(body, version) :] if flags & _EXTENDED else body
    frames, at = _frames(body, version)
    padding = body[at:]
    kept = [frame for frame in frames if _field(frame, version) not in fields]
    stop = end + (10 if flags & _FOOTER and version == 4 else 0)
    frames = [*kept, *_new_frames(version, fields)]
    if not frames and not padding:  # some decoders do not take an empty tag for one
        return [Splice(0, stop, b"")]
    # In version 2.4, the flag tells about frames that stay; what is added has no byte to which it applies.
    new = _tag(version, frames, padding, flags & _UNSYNCHRONISED if version == 4 else 0)
    return [Splice(0, 10, new[:10]), Splice(10, stop, new[10:])]


def _syncsafe(size: bytes) -> int:
    if any(byte & 0x80 for byte in size):
        raise NotWritable("its ID3 tag is damaged: its size has set bits that must be 0")
    return size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3]


def _to_syncsafe(size: int) -> bytes:
    if size > _MOST_BYTES:
        raise NotWritable(f"its ID3 tag would have {size} bytes, at most {_MOST_BYTES} are possible")
    return bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def _extended_size(body: bytes, version: int) -> int:
    """Bytes of the extended header, which has nothing but a checksum and limits: it is left out."""
    size = int.from_bytes(body[:4])
    return size + 4 if version == 3 else _syncsafe(body[:4])


def _frames(body: bytes, version: int) -> tuple[list[_Frame], int]:
    """The frames, and where the padding begins.

    Some writers of version 2.4 store sizes of frames as plain numbers: whichever reading leads to frames is right.
    """
    readings = [True, False] if version == 4 else [False]
    for syncsafe in readings:
        frames = list(_walk(body, version, syncsafe=syncsafe))
        at = sum(len(frame.name) + len(frame.flags) + len(frame.body) + (3 if version == 2 else 4) for frame in frames)
        if not body[at:].strip(b"\0"):
            return frames, at
    raise NotWritable("its ID3 tag is damaged: it has bytes that are no frame")


def _walk(body: bytes, version: int, *, syncsafe: bool) -> Iterator[_Frame]:
    head, name_bytes = (6, 3) if version == 2 else (10, 4)
    at = 0
    while at + head <= len(body) and re.fullmatch(rb"[A-Z0-9]+", body[at : at + name_bytes]):
        size = body[at + name_bytes : at + name_bytes + (3 if version == 2 else 4)]
        if syncsafe and any(byte & 0x80 for byte in size):
            return
        length = _syncsafe(size) if syncsafe else int.from_bytes(size)
        if at + head + length > len(body):
            return
        flags = b"" if version == 2 else body[at + 8 : at + 10]
        yield _Frame(body[at : at + name_bytes], flags, body[at + head : at + head + length])
        at += head + length


def _field(frame: _Frame, version: int) -> str | None:
    """The field that a frame has, in capitals; None for frames that are none of ours."""
    for field, name in _OWN[version].items():
        if frame.name == name:
            return field
    if frame.name != _USER[version] or not frame.body or frame.body[0] >= len(_CODECS):
        return None
    if len(frame.flags) == 2 and frame.flags[1]:  # compressed, encrypted or unsynchronised
        return None
    text = frame.body[1:].decode(_CODECS[frame.body[0]], errors="replace")
    return text.partition("\0")[0].lstrip("\ufeff").upper()


def _new_frames(version: int, fields: FieldValues) -> list[_Frame]:
    made = []
    for field, values in fields.items():
        own = _OWN[version].get(field)
        if values:
            joined = SEPARATOR.join(values)
            text = joined if own else f"{field}\0{joined}"
            made.append(_Frame(own or _USER[version], b"" if version == 2 else b"\0\0", _encoded(text, version)))
    return made


def _encoded(text: str, version: int) -> bytes:
    if version == 4:
        return bytes([_UTF_8]) + text.encode()
    if text.isascii():
        return b"\0" + text.encode()
    # Each of the texts has a byte order mark of its own.
    parts = [b"\xff\xfe" + part.encode("utf-16-le") for part in text.split("\0")]
    return bytes([_UTF_16]) + b"\0\0".join(parts)


def _tag(version: int, frames: list[_Frame], padding: bytes = b"", flags: int = 0) -> bytes:
    body = b"".join(_frame_bytes(frame, version) for frame in frames) + padding
    return b"ID3" + bytes([version, 0, flags]) + _to_syncsafe(len(body)) + body


def _frame_bytes(frame: _Frame, version: int) -> bytes:
    size = _to_syncsafe(len(frame.body)) if version == 4 else len(frame.body).to_bytes(3 if version == 2 else 4)
    return frame.name + size + frame.flags + frame.body
