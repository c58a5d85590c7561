"""Vorbis comments: the block of fields in FLAC, Ogg Vorbis, Opus and Ogg FLAC (xiph.org/vorbis/doc/v-comment.html)."""

import struct

from transforms.embedded_tags.splices import FieldValues, NotWritable

VENDOR = b"catalog-tagger"


def new_comments(fields: FieldValues) -> bytes:
    """A block for a file that has none."""
    return with_comments(struct.pack("<I", len(VENDOR)) + VENDOR + bytes(4), fields)


def with_comments(block: bytes, fields: FieldValues) -> bytes:
    """The block with these fields in place of those of the same names. All others stay, byte for byte.

    Raises:
      NotWritable: the block is damaged.
    """
    vendor_end = 4 + _length(block, 0)
    count, at, kept = _length(block, vendor_end), vendor_end + 4, []
    for _ in range(count):
        end = at + 4 + _length(block, at)
        if end > len(block):
            raise NotWritable("its Vorbis comments are damaged")
        name = block[at + 4 : end].partition(b"=")[0].decode("latin-1").upper()
        if name not in fields:
            kept.append(block[at:end])
        at = end
    kept += [_comment(name, value) for name, values in fields.items() for value in values]
    return block[:vendor_end] + struct.pack("<I", len(kept)) + b"".join(kept) + block[at:]


def _comment(name: str, value: str) -> bytes:
    text = f"{name}={value}".encode()
    return struct.pack("<I", len(text)) + text


def _length(block: bytes, at: int) -> int:
    if at + 4 > len(block):
        raise NotWritable("its Vorbis comments are damaged")
    return int.from_bytes(block[at : at + 4], "little")
