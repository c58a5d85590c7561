"""Ogg streams: lost pages, a missing end, and chained files (audio streams one after another)."""

import dataclasses
import itertools
import struct
from collections.abc import Iterator

from transforms.audio.containers.ogg_pages import with_checksum

_PAGE = struct.Struct("<4sBBqIIIB")
_FIRST, _LAST = 2, 4
_OPUS, _OPUS_RATE, _OPUS_HZ = b"OpusHead", slice(12, 16), 48_000
_IDENTITY = {b"\x01vorbis": (11, 16), _OPUS: (9, 10), b"\x7fFLAC": (27, 30), b"Speex   ": (36, 52)}
"""First bytes of a stream's first packet -> range of its channels and rate. Opus: channels only, for any rate."""


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
    """The result of a scan over the pages of a file.

    Attributes:
      links: start offset of each consecutive audio stream; more than one in a chained file.
      alike: for each of them, whether its codec, channels and rate are those of the first.
      lost: number of pages that are damaged or missing.
      has_end: whether the last page of the last stream is present.
      together: most streams that play together, as audio and video do.
    """

    links: tuple[int, ...]
    alike: tuple[bool, ...]
    lost: int
    has_end: bool
    together: int


def scan_ogg(data: bytes) -> OggScan:
    """Scans all pages whose checksum is correct."""
    links: list[int] = []
    expected: dict[int, int] = {}
    lost, has_end, group, together = 0, False, 0, 0
    for page in _pages(data):
        if page.is_first:
            if not group:  # several first pages in a row are streams that play together: one link
                links.append(page.start)
                has_end = False
            group += 1
            together = max(together, group)
        else:
            group = 0
            lost += max(0, page.sequence - expected.get(page.serial, 0))
        expected[page.serial] = page.sequence + 1
        has_end = has_end or page.is_last
    identities = [_identity(data, start) for start in links]
    return OggScan(
        links=tuple(links),
        alike=tuple(identity == identities[0] for identity in identities),
        lost=lost,
        has_end=has_end,
        together=together,
    )


def only_audio(data: bytes) -> tuple[bytes, int]:
    """The pages of the first audio stream of each link, and the most audio streams that play together.

    Skeleton, video and further audio streams are left out.
    """
    kept: list[bytes] = []
    chosen: int | None = None
    was_first, group, most = False, 0, 0
    for page in _pages(data):
        if page.is_first and not was_first:
            chosen, group = None, 0
        if page.is_first and _first_packet(data, page.start).startswith(tuple(_IDENTITY)):
            chosen = page.serial if chosen is None else chosen
            group += 1
        if page.serial == chosen:
            kept.append(data[page.start : page.stop])
        was_first, most = page.is_first, max(most, group)
    return b"".join(kept), most


def links_alike(data: bytes, scan: OggScan) -> tuple[bytes, ...]:
    """The bytes of each link that can follow the first. The first link begins at the start of the file.

    If Opus links name different input rates, the headers of all of them are set to 48 kHz.
    """
    bounds = [0, *scan.links[1:], len(data)]
    kept = [link for link, alike in zip(itertools.pairwise(bounds), scan.alike, strict=True) if alike]
    links = [data[start:stop] for start, stop in kept]
    heads = [_first_packet(data, start) for start, alike in zip(scan.links, scan.alike, strict=True) if alike]
    if heads[0].startswith(_OPUS) and len({head[_OPUS_RATE] for head in heads}) > 1:
        at = scan.links[0]  # only the first link can have bytes before its first page
        return tuple(_at_48_khz(link, at if i == 0 else 0) for i, link in enumerate(links))
    return tuple(links)


def _at_48_khz(link: bytes, start: int) -> bytes:
    """The same Opus stream, with 48 kHz as the input rate in the header of its first page, at `start`."""
    packet = start + _PAGE.size + link[start + _PAGE.size - 1]
    stop = packet + sum(link[start + _PAGE.size : packet])
    rate_at, behind = packet + _OPUS_RATE.start, packet + _OPUS_RATE.stop
    page = link[start:rate_at] + _OPUS_HZ.to_bytes(4, "little") + link[behind:stop]
    return link[:start] + with_checksum(page) + link[stop:]


def _pages(data: bytes) -> Iterator[_Page]:
    at = data.find(b"OggS")
    while at >= 0 and at + _PAGE.size <= len(data):
        _, _, flags, _, serial, sequence, _, segments = _PAGE.unpack_from(data, at)
        table = data[at + _PAGE.size : at + _PAGE.size + segments]
        stop = at + _PAGE.size + segments + sum(table)
        page = data[at:stop]
        if stop > len(data) or with_checksum(page) != page:
            at = data.find(b"OggS", at + 4)
            continue
        yield _Page(at, stop, serial, sequence, bool(flags & _FIRST), bool(flags & _LAST))
        at = stop if data.startswith(b"OggS", stop) else data.find(b"OggS", stop)


def _first_packet(data: bytes, start: int) -> bytes:
    """The first bytes of the packet on a stream's first page."""
    at = start + _PAGE.size + data[start + _PAGE.size - 1]
    return data[at : at + 64]


def _identity(data: bytes, start: int) -> bytes:
    """Codec, channels and sample rate according to a stream's first page."""
    packet = _first_packet(data, start)
    for magic, (first, last) in _IDENTITY.items():
        if packet.startswith(magic):
            return magic + packet[first:last]
    return packet
