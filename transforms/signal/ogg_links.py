"""Ogg pages: what is lost, whether the end is there, and where one audio stream follows another (chained files)."""

import dataclasses
import itertools
import struct
import zlib
from collections.abc import Iterator

_PAGE = struct.Struct("<4sBBqIIIB")
_FIRST, _LAST = 2, 4
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_IDENTITY = {b"\x01vorbis": (11, 16), b"OpusHead": (9, 10), b"\x7fFLAC": (27, 30), b"Speex   ": (36, 52)}
"""First bytes of a stream's first packet -> where in it channels and rate stand; Opus is always read at 48 kHz."""


@dataclasses.dataclass(frozen=True)
class _Page:
    start: int
    stop: int
    serial: int
    sequence: int
    is_first: bool
    is_last: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class OggScan:
    """What a walk over the pages of a file finds.

    Attributes:
      links: where each audio stream in a row starts; more than one in a chained file.
      alike: whether each of them has the codec, channels and rate of the first.
      lost: pages that are damaged or missing.
      has_end: whether the last stream's last page is there.
    """

    links: tuple[int, ...]
    alike: tuple[bool, ...]
    lost: int
    has_end: bool


def scan_ogg(data: bytes) -> OggScan:
    """Walk over all pages whose checksum is right."""
    links: list[int] = []
    expected: dict[int, int] = {}
    lost, has_end, was_first = 0, False, False
    for page in _pages(data):
        if page.is_first:
            if not was_first:  # several in a row are played together: one link
                links.append(page.start)
                has_end = False
        else:
            lost += max(0, page.sequence - expected.get(page.serial, 0))
        expected[page.serial] = page.sequence + 1
        was_first = page.is_first
        has_end = has_end or page.is_last
    identities = [_identity(data, start) for start in links]
    return OggScan(
        links=tuple(links),
        alike=tuple(identity == identities[0] for identity in identities),
        lost=lost,
        has_end=has_end,
    )


def links_alike(data: bytes, scan: OggScan) -> tuple[bytes, ...]:
    """The bytes of each link that can follow the first; the first one begins where the file does."""
    bounds = [0, *scan.links[1:], len(data)]
    spans = itertools.pairwise(bounds)
    return tuple(data[start:stop] for (start, stop), alike in zip(spans, scan.alike, strict=True) if alike)


def _pages(data: bytes) -> Iterator[_Page]:
    at = data.find(b"OggS")
    while at >= 0 and at + _PAGE.size <= len(data):
        _, _, flags, _, serial, sequence, checksum, segments = _PAGE.unpack_from(data, at)
        table = data[at + _PAGE.size : at + _PAGE.size + segments]
        stop = at + _PAGE.size + segments + sum(table)
        if stop > len(data) or not _checks(data[at:stop], checksum):
            at = data.find(b"OggS", at + 4)
            continue
        yield _Page(at, stop, serial, sequence, bool(flags & _FIRST), bool(flags & _LAST))
        at = stop if data.startswith(b"OggS", stop) else data.find(b"OggS", stop)


def _identity(data: bytes, start: int) -> bytes:
    """Codec, channels and sample rate by a stream's first page."""
    packet = data[start + _PAGE.size + data[start + _PAGE.size - 1] :][:64]
    for magic, (first, last) in _IDENTITY.items():
        if packet.startswith(magic):
            return magic + packet[first:last]
    return packet


def _checks(page: bytes, checksum: int) -> bool:
    """Ogg's CRC is zlib's with the bits the other way round and no inversion."""
    blank = page[:22] + bytes(4) + page[26:]
    crc = zlib.crc32(blank.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(_REVERSED), "big") == checksum
