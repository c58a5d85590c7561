"""Recognises the format of a file by its first bytes, never by its name."""

import itertools
import re
from typing import NamedTuple

from transforms.audio.containers import flac
from transforms.audio.containers.foreign import refuse_foreign
from transforms.audio.containers.kinds import (
    AIFF,
    AMR,
    APE,
    ASF,
    AU,
    AVI,
    CAF,
    DSDIFF,
    DSF,
    DTS,
    DTS_HD,
    FLAC,
    FLV,
    MATROSKA,
    MLP,
    MP2,
    MP3,
    MP4,
    MPEG_PROGRAM,
    MPEG_TRANSPORT,
    MUSEPACK_7,
    MUSEPACK_8,
    OGG_FLAC,
    OPUS,
    REALMEDIA,
    SHORTEN,
    SPDIF,
    SPEEX,
    SPHERE,
    SVX,
    TAK,
    TRUEHD,
    TTA,
    VOC,
    VORBIS,
    W64,
    WAV,
    WAVPACK,
    AudioKind,
    kind_named,
)
from transforms.audio.containers.metadata_tags import begins_tag, id3_size
from transforms.audio.containers.mp4 import refuse_references
from transforms.audio.containers.mpeg import SEARCH_BYTES, find_mpeg_frame, is_free_format, mpeg_frame
from transforms.audio.containers.ogg_pages import first_packets
from transforms.audio.containers.streams import Stream, find_stream, stream_at
from transforms.audio.errors import FormatNotAllowed, UnknownFormat

HEAD_BYTES = 4096
"""Bytes from the start of a file that are examined."""


_MAGIC = (
    (b"fLaC", FLAC),
    (b"caff", CAF),
    (b".snd", AU),
    (b"Creative Voice File\x1a", VOC),
    (b"NIST_1A", SPHERE),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ASF),
    (b"\x1a\x45\xdf\xa3", MATROSKA),
    (b"\x00\x00\x01\xba", MPEG_PROGRAM),
    (b".RMF\0\0\0", REALMEDIA),
    (b".ra\xfd", REALMEDIA),
    (b"DTSHDHDR", DTS_HD),
    (b"\x72\xf8\x1f\x4e", SPDIF),
    (b"wvpk", WAVPACK),
    (b"TTA1", TTA),
    (b"MAC ", APE),
    (b"tBaK", TAK),
    (b"ajkg", SHORTEN),
    (b"MP+\x07", MUSEPACK_7),
    (b"MP+\x17", MUSEPACK_7),
    (b"MPCK", MUSEPACK_8),
    (b"DSD \x1c\0\0\0", DSF),
    (b"#!AMR", AMR),
    (b"FLV\x01", FLV),
    (b"\x7f\xfe\x80\x01", DTS),
)

_FORMS = {
    **{(riff, b"WAVE"): WAV for riff in (b"RIFF", b"RIFX", b"RF64", b"BW64")},
    (b"RIFF", b"AVI "): AVI,
    (b"FORM", b"AIFF"): AIFF,
    (b"FORM", b"AIFC"): AIFF,
    (b"FORM", b"8SVX"): SVX,
    (b"FORM", b"16SV"): SVX,
}
"""Name of the outermost chunk and the form that it contains, at offset 8."""

_OGG_MAGIC = (
    (b"\x01vorbis", VORBIS),
    (b"OpusHead", OPUS),
    (b"\x7fFLAC", OGG_FLAC),
    (b"Speex   ", SPEEX),
)

_RESYNC = re.compile(
    rb"fLaC[\x00\x80]\x00\x00\x22|OggS\x00[\x02\x06]|wvpk..\x00\x00[\x02-\x10]\x04|TTA1[\x01\x02]\x00"
    rb"|MAC [\x00-\xff][\x0e\x0f]|MP\+[\x07\x17]|MPCKSH|tBaK[\x00-\x7f]|\x00\x00\x01\xba[\x21-\x2f\x44-\x7f]"
    rb"|\x47(?=.{187}\x47.{187}\x47.{187}\x47.{187}\x47)"
    rb"|RI(?:FF|FX)....(?:WAVE|AVI )|(?:RF|BW)64....WAVE|FORM....AIF[FC]|caff\x00\x01\x00\x00|DSD \x1c\x00"
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
    re.DOTALL,
)
"""Beginnings of formats that are unlikely enough to be sought among other bytes.

An MP4 is not among them: its offsets count from the start of the file, so bytes in front of it leave nothing to read.
"""

_RESYNC_IN_TAG = re.compile(_RESYNC.pattern + rb"|\x00\x00\x00[\x08-\x80]ftyp", re.DOTALL)
"""The same within a tag of a wrong size, which no audio precedes."""

_LEADING_ZEROS = 3
"""Most zeros that a header begins with."""

_TAG_SEARCH_BYTES = 1 << 24
"""Bytes that are searched for audio if a tag at the start of the file has a wrong size."""

_TRANSPORT_SIZES = ((188, 0), (192, 4), (204, 0))
"""Bytes of a transport stream's packet, and offset of its sync byte: plain, with time stamps, with error correction."""
_SYNC_BYTE, _SYNCS = b"\x47", 5
_MOST_STREAMS = 64
"""Most streams of an Ogg file that play together."""


class Located(NamedTuple):
    """The container of a file, and the number of bytes before it, without ID3 tags that it allows."""

    kind: AudioKind
    start: int


def sniff(data: bytes) -> AudioKind:
    """Recognises the container of a file. Raises as `locate` does."""
    return locate(data).kind


def locate(data: bytes) -> Located:
    """Recognises the container of a file: at its start, after ID3 tags and padding, or among other bytes.

    Containers come first, then streams of frames: a container is full of frames that are not all of one stream.

    Raises:
      FormatNotAllowed: a known format that is not read as audio: a playlist, picture, text, reference to another file.
      UnsupportedCodec: a known format of audio that no decoder reads.
      UnknownFormat: no known format.
    """
    start = id3_size(data)
    if (kind := _container(data, start)) is not None:
        return Located(kind, 0)
    begin = _padding_end(data, start)
    for at in range(begin, max(start, begin - _LEADING_ZEROS - 1), -1):
        if (kind := _container(data, at)) is not None:
            return Located(kind, at)
    if not begins_tag(data, 0):  # else audio may follow a picture that the tag does not count
        refuse_foreign(data, start)
        refuse_foreign(data, begin)
    if (stream := stream_at(data, begin)) is not None:
        return _located(data, stream)
    if is_free_format(data, begin):
        return Located(MP3, begin if begin > start else 0)
    if (found := _sought(data, begin)) is not None:
        return found
    refuse_foreign(data, begin)
    if _is_ogg(data, begin):
        raise FormatNotAllowed("it is Ogg without the beginning of a stream of a known audio codec")
    raise UnknownFormat(f"it begins with {data[start : start + 8].hex(' ')}")


def _sought(data: bytes, begin: int) -> Located | None:
    """The first beginning of a framed format among other bytes. A tag of a wrong size is searched to its real end."""
    is_tag = begins_tag(data, 0)
    start = 10 if is_tag else begin
    stop = min(len(data), start + (_TAG_SEARCH_BYTES if is_tag else SEARCH_BYTES))
    if (stream := find_stream(data, start, stop)) is not None:
        end = min(stop, stream.at + HEAD_BYTES)  # only what begins before the stream matters
    else:
        end = len(data) if _is_ogg(data, begin) else stop
    matches = (_RESYNC_IN_TAG if is_tag else _RESYNC).finditer(data, start, end)
    headers = ((match.start(), kind) for match in matches if (kind := _known(data, match.start())))
    header = next(headers, None)
    frames = flac.find_frames(data, start, stop)
    found = {
        **({stream.at: _located(data, stream)} if stream is not None else {}),
        **({frames: Located(FLAC, frames)} if frames is not None else {}),
        **({header[0]: Located(header[1], header[0])} if header is not None else {}),
    }
    return found[min(found)] if found else None


def _located(data: bytes, stream: Stream) -> Located:
    """A stream. The reader of MP3 itself skips other bytes before the first frame, if they are few."""
    kind, start = kind_named(stream.kind), id3_size(data)
    offset = find_mpeg_frame(data[start : start + SEARCH_BYTES]) if kind == MP3 else 0
    return Located(kind, 0 if offset is not None and start + offset == stream.at else stream.at)


def _known(data: bytes, at: int) -> AudioKind | None:
    """The container whose header is at this offset; None also if it is not read."""
    try:
        return _container(data, at)
    except FormatNotAllowed:
        return None


def _is_ogg(data: bytes, begin: int) -> bool:
    """Whether pages of Ogg follow, perhaps after the rest of one."""
    return data.find(b"OggS\0", begin, begin + SEARCH_BYTES) >= 0


def _padding_end(data: bytes, start: int) -> int:
    """Offset of the first byte that is not zero."""
    match = re.compile(rb"\0*").match(data, start)
    return match.end() if match and match.end() < len(data) else start


def mpeg_kind(data: bytes) -> AudioKind | None:
    """MP3 or MP2, by the layer of the first frame within `SEARCH_BYTES`; None if there is no frame."""
    body = data[:SEARCH_BYTES]
    at = find_mpeg_frame(body)
    frame = mpeg_frame(body[at : at + 4]) if at is not None else None
    if frame is None:
        return None
    return MP3 if frame.layer == 3 else MP2


def _container(data: bytes, at: int) -> AudioKind | None:
    """The container whose header is at this offset. Raises FormatNotAllowed."""
    body = data[at : at + HEAD_BYTES]
    kind = _form(body) or _ogg(data, at) or _mp4(body) or _plain(body) or _transport(body)
    if kind == MP4:
        refuse_references(data[at:])
    return kind


def _form(body: bytes) -> AudioKind | None:
    if body[:4] == b"FRM8" and body[12:16] == b"DSD ":
        return DSDIFF
    if body[:4] == b"riff" and body[24:28] == b"wave":
        return W64
    return _FORMS.get((body[:4], body[8:12]))


def _ogg(data: bytes, at: int) -> AudioKind | None:
    """The codec of the first audio stream of those that begin together: others are Skeleton or video."""
    packets = list(itertools.islice(first_packets(data, at), _MOST_STREAMS))
    for packet in packets:
        for magic, kind in _OGG_MAGIC:
            if packet.startswith(magic):
                return kind
    if packets:
        shown = ", ".join(packet[:8].hex(" ") for packet in packets[:4])
        raise FormatNotAllowed(f"it is Ogg whose first packet begins with {shown}")
    return None


def _mp4(body: bytes) -> AudioKind | None:
    """Recognises ISO media by the file type box, and old QuickTime by the boxes that it begins with."""
    return MP4 if body[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip") else None


def _plain(body: bytes) -> AudioKind | None:
    for magic, kind in _MAGIC:
        if body.startswith(magic):
            return kind
    return {b"\xf8\x72\x6f\xba": TRUEHD, b"\xf8\x72\x6f\xbb": MLP}.get(body[4:8])


def _transport(body: bytes) -> AudioKind | None:
    for size, offset in _TRANSPORT_SIZES:
        if body[offset : offset + size * _SYNCS : size] == _SYNC_BYTE * _SYNCS:
            return MPEG_TRANSPORT
    return None
