"""What a container says of its own length, checked against the bytes that are there."""

import dataclasses
import struct
from collections.abc import Callable, Iterator

from transforms.signal.mp4 import missing_bytes
from transforms.signal.mpeg import scan_mpeg, with_length_tag
from transforms.signal.mpeg_packets import Packets, clean_packets
from transforms.signal.ogg_links import links_alike, scan_ogg
from transforms.signal.sniff import AIFF, AU, CAF, FLAC, MP3, MP4, OGG_FLAC, OPUS, SPEEX, VORBIS, WAV, Kind
from transforms.signal.tags import id3_size

BELIEVED = 20
"""A header that claims more than so many times what the file holds is not believed."""

UNVERIFIED = "length_unverified"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contents:
    """A file, ready for its decoder.

    Attributes:
      data: the bytes, mended where the container's own length was missing.
      packets: those of a clean MP3, for the quickest way to read it; None for whatever else.
      links: the streams of a chained file that are read one after the other; empty where there is but one.
      stretch: claimed length over the length that is there; over 1 in a truncated file.
      is_counted: whether the length was counted in the data: a decoder that gives less of it has failed.
      most_samples: bound on the length that any header of this file can claim; None where there is none.
      shows_end: whether the container marks its end and checks its pages, so that all damage is seen in it.
      notes: what is wrong with the file, for the ledger.
    """

    data: bytes
    packets: Packets | None = None
    links: tuple[bytes, ...] = ()
    stretch: float = 1.0
    is_counted: bool = False
    most_samples: int | None = None
    shows_end: bool = False
    notes: tuple[str, ...] = ()


def inspect(data: bytes, kind: Kind) -> Contents:
    """Check a file's own claims about its length. Never raises: what is beyond reading is the decoder's to refuse."""
    inspector = _INSPECTORS.get(kind)
    return inspector(data) if inspector is not None else Contents(data=data)


_Chunk = tuple[bytes, int, int]
"""Name, offset of the content, claimed size."""


def _chunks(data: bytes, at: int, layout: str, *, is_padded: bool) -> Iterator[_Chunk]:
    head = struct.Struct(layout)
    while at + head.size <= len(data):
        name, size = head.unpack_from(data, at)
        yield name, at + head.size, size
        at += head.size + max(0, size) + (size & 1 if is_padded else 0)


def _wav(data: bytes) -> Contents:
    order = ">" if data[:4] == b"RIFX" else "<"
    wide = 0
    for name, at, size in _chunks(data, 12, order + "4sI", is_padded=True):
        if name == b"ds64" and len(data) >= at + 16:
            (wide,) = struct.unpack_from("<Q", data, at + 8)
        if name == b"data":
            if size == 0 and len(data) > at:
                return _with_size(data, at - 4, len(data) - at, order)
            return _span(data, wide if wide and size == 0xFFFFFFFF else size, len(data) - at)
    return Contents(data=data)


def _with_size(data: bytes, at: int, size: int, order: str) -> Contents:
    """A stream whose writer could not go back: give it the size that it has."""
    mended = data[:at] + struct.pack(order + "I", min(size, 0xFFFFFFFE)) + data[at + 4 :]
    return Contents(data=mended, notes=(UNVERIFIED,))


def _aiff(data: bytes) -> Contents:
    for name, at, size in _chunks(data, 12, ">4sI", is_padded=True):
        if name == b"SSND":
            return _span(data, size, len(data) - at)
    return Contents(data=data)


def _caf(data: bytes) -> Contents:
    for name, at, size in _chunks(data, 8, ">4sq", is_padded=False):
        if name == b"data":
            return _span(data, size, len(data) - at)
    return Contents(data=data)


def _au(data: bytes) -> Contents:
    if len(data) < 12:
        return Contents(data=data)
    offset, size = struct.unpack_from(">II", data, 4)
    return _span(data, size, len(data) - offset)


def _span(data: bytes, claimed: int, there: int) -> Contents:
    if there <= 0 or claimed <= there:
        return Contents(data=data, notes=(UNVERIFIED,) if claimed < 0 else ())
    if claimed > BELIEVED * there or claimed >= 0x7FFFF000:  # a streaming writer's placeholder
        return Contents(data=data, notes=(UNVERIFIED,))
    return Contents(data=data, stretch=claimed / there, notes=(f"truncated: {there} of {claimed} bytes of audio",))


_LEAST_FLAC_FRAME = 10
_MOST_FLAC_BLOCK = 65_535


def _flac(data: bytes) -> Contents:
    """A FLAC frame takes 10 bytes at the least and holds 65,535 samples at the most."""
    return Contents(data=data, most_samples=len(data) // _LEAST_FLAC_FRAME * _MOST_FLAC_BLOCK)


def _mp3(data: bytes) -> Contents:
    start = id3_size(data)
    scan = scan_mpeg(data, start)
    if scan is None:
        return Contents(data=data, notes=(UNVERIFIED,))
    audio = scan.frames - (scan.tag_frames is not None)
    notes = [f"lost_data: {scan.lost_bytes} bytes between frames"] if scan.lost_bytes else []
    if scan.has_other_kind:
        notes.append("chained: audio of another rate, layer or number of channels follows and is left out")
    claimed = scan.tag_frames or 0
    if scan.joins or 0 < claimed < audio - 2:
        notes.append("chained: several files in a row are read as one")
    keeps_tag = audio - 2 <= claimed <= BELIEVED * max(1, audio)
    if not keeps_tag:
        notes.append("truncated: the last frame is cut" if scan.is_cut else UNVERIFIED)
    if keeps_tag and scan.is_vbri:
        mended, packets = with_length_tag(data, scan, keep_tag=False, claimed=claimed), None
    elif keeps_tag and len(scan.spans) == 1 and scan.spans[0][0] == start:
        mended, packets = data, clean_packets(data, scan)
    else:
        mended, packets = with_length_tag(data, scan, keep_tag=keeps_tag), None
    return Contents(data=mended, packets=packets, is_counted=True, notes=tuple(notes))


def _ogg(data: bytes) -> Contents:
    scan = scan_ogg(data)
    notes = [f"lost_pages: {scan.lost} damaged or missing"] if scan.lost else []
    links: tuple[bytes, ...] = ()
    if len(scan.links) > 1:
        links = links_alike(data, scan)
        notes.append(f"chained: {len(links)} of {len(scan.links)} streams are read, those like the first")
    if not scan.has_end:
        notes.append("truncated: the stream has no last page")
    return Contents(data=data, links=links, shows_end=True, notes=tuple(notes))


def _mp4(data: bytes) -> Contents:
    missing = missing_bytes(data)
    return Contents(data=data, notes=(f"truncated: {missing} bytes are missing",) if missing else ())


_INSPECTORS: dict[Kind, Callable[[bytes], Contents]] = {
    WAV: _wav,
    AIFF: _aiff,
    CAF: _caf,
    AU: _au,
    FLAC: _flac,
    MP3: _mp3,
    VORBIS: _ogg,
    OPUS: _ogg,
    SPEEX: _ogg,
    OGG_FLAC: _ogg,
    MP4: _mp4,
}
