"""FieldValues of an Ogg file with one stream: Vorbis, Opus or FLAC (RFC 3533, 5334, 7845).

The second packet has the fields. The pages of the header packets are made anew. If their number changes, the pages of
the audio get new numbers and checksums, and nothing else of them changes.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from transforms.audio.containers.ogg_pages import page_length, with_checksum
from transforms.embedded_tags.comments import with_comments
from transforms.embedded_tags.splices import FieldValues, NotWritable, Splice

_CONTINUED, _FIRST = 1, 2
_MOST_SEGMENTS = 255
_NO_PACKET_ENDS = b"\xff" * 8
_FLAC_COMMENTS = 4
_MOST_FLAC_BYTES = (1 << 24) - 1


class _Page(NamedTuple):
    at: int
    end: int


def ogg_splices(data: bytes, at: int, fields: FieldValues) -> list[Splice]:
    """The changes of an Ogg stream that begins at `at`.

    Raises:
      NotWritable: it has several streams, or is damaged.
    """
    pages = list(_pages(data, at))
    packets, used = _header(data, pages)
    packets[1] = _with_fields(packets[0], packets[1], fields)
    made = list(_repaged(packets[1:], data[pages[0].at + 14 : pages[0].at + 18]))
    splices = [Splice(pages[0].end, pages[used - 1].end, b"".join(made))]
    shift = len(made) - (used - 1)
    return splices + [_renumbered(data, page, shift) for page in pages[used:] if shift]


def _pages(data: bytes, at: int) -> Iterator[_Page]:
    """All pages of the only stream. Bytes after the last page are left alone."""
    serial = data[at + 14 : at + 18]
    start = at
    while data.startswith(b"OggS", at):
        length = page_length(data, at) if len(data) >= at + 27 else 0
        if not length or at + length > len(data):
            raise NotWritable("its last Ogg page is cut")
        if data[at + 14 : at + 18] != serial or (data[at + 5] & _FIRST and at != start):
            raise NotWritable("it has several Ogg streams")
        yield _Page(at, at + length)
        at += length
    if data.find(b"OggS", at) >= 0:
        raise NotWritable("it has bytes between its Ogg pages")


def _header(data: bytes, pages: list[_Page]) -> tuple[list[bytes], int]:
    """The header packets, and the number of pages that they fill."""
    packets, part, wanted = [], b"", 0
    for used, page in enumerate(pages, start=1):
        table = data[page.at + 27 : page.at + 27 + data[page.at + 26]]
        body = page.at + 27 + len(table)
        for size in table:
            part += data[body : body + size]
            body += size
            if size < _MOST_SEGMENTS:
                packets.append(part)
                part = b""
        wanted = wanted or (_count(packets[0]) if packets else 0)
        if wanted and len(packets) >= wanted:
            if len(packets) > wanted or part or used < 2:
                raise NotWritable("its Ogg header does not end with a page")
            return packets, used
    raise NotWritable("its Ogg header is cut")


def _count(first: bytes) -> int:
    """The number of header packets of a stream, by its first packet."""
    if first.startswith(b"\x01vorbis"):
        return 3
    if first.startswith(b"OpusHead"):
        return 2
    if first.startswith(b"\x7fFLAC") and len(first) >= 9 and (following := int.from_bytes(first[7:9])):
        return 1 + following
    raise NotWritable("its Ogg stream is neither Vorbis, Opus nor FLAC of a known number of headers")


def _with_fields(first: bytes, packet: bytes, fields: FieldValues) -> bytes:
    for begins, mark in ((b"\x01vorbis", b"\x03vorbis"), (b"OpusHead", b"OpusTags")):
        if first.startswith(begins) and packet.startswith(mark):
            return mark + with_comments(packet[len(mark) :], fields)
    if first.startswith(b"\x7fFLAC") and len(packet) > 4 and packet[0] & 0x7F == _FLAC_COMMENTS:
        body = with_comments(packet[4:], fields)
        if len(body) > _MOST_FLAC_BYTES:
            raise NotWritable(f"its fields would have {len(body)} bytes, a FLAC has at most {_MOST_FLAC_BYTES}")
        return packet[:1] + len(body).to_bytes(3) + body
    raise NotWritable("its second Ogg packet has no fields")


def _repaged(packets: list[bytes], serial: bytes) -> Iterator[bytes]:
    """The pages of these packets, from page number 1 on."""
    segments: list[bytes] = []
    ends: list[bool] = []
    for packet in packets:
        whole = [packet[i : i + _MOST_SEGMENTS] for i in range(0, len(packet) + 1, _MOST_SEGMENTS)]
        segments += whole
        ends += [False] * (len(whole) - 1) + [True]
    for number, start in enumerate(range(0, len(segments), _MOST_SEGMENTS), start=1):
        part = segments[start : start + _MOST_SEGMENTS]
        continued = _CONTINUED if start and not ends[start - 1] else 0
        granule = bytes(8) if any(ends[start : start + len(part)]) else _NO_PACKET_ENDS
        head = b"OggS\0" + bytes([continued]) + granule + serial + struct.pack("<I", number) + bytes(4)
        yield with_checksum(head + bytes([len(part), *map(len, part)]) + b"".join(part))


def _renumbered(data: bytes, page: _Page, shift: int) -> Splice:
    whole = data[page.at : page.end]
    number = int.from_bytes(whole[18:22], "little") + shift
    changed = with_checksum(whole[:18] + struct.pack("<I", number % (1 << 32)) + whole[22:])
    return Splice(page.at + 18, page.at + 26, changed[18:26])
