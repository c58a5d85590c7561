"""Recognises the format of a file by its first bytes, never by its name."""

import dataclasses
from typing import Literal

from transforms.audio.containers.metadata_tags import id3_size
from transforms.audio.containers.mp4 import refuse_references
from transforms.audio.containers.mpeg import SEARCH_BYTES, find_mpeg_frame, mpeg_frame
from transforms.audio.errors import FormatNotAllowed, UnknownFormat

Decoder = Literal["soundfile", "av"]

HEAD_BYTES = 4096
"""Bytes from the start of a file that are examined."""


@dataclasses.dataclass(frozen=True)
class AudioKind:
    """A container.

    Attributes:
      name: its name in the ledger.
      decoder: the decoder that is tried first.
      demuxer: ffmpeg's name of the only demuxer that may read it; ffmpeg never guesses.
      suffixes: usual endings of file names, without the dot. By them `import folder` tells a damaged audio file from
        other files; neither it nor decoding recognises a format by a name.
    """

    name: str
    decoder: Decoder
    demuxer: str
    suffixes: tuple[str, ...]


WAV = AudioKind("wav", "soundfile", "wav", ("wav", "wave", "rf64"))
W64 = AudioKind("w64", "soundfile", "w64", ("w64",))
AIFF = AudioKind("aiff", "soundfile", "aiff", ("aiff", "aif", "aifc"))
CAF = AudioKind("caf", "soundfile", "caf", ("caf",))
AU = AudioKind("au", "soundfile", "au", ("au", "snd"))
FLAC = AudioKind("flac", "soundfile", "flac", ("flac",))
MP3 = AudioKind("mp3", "soundfile", "mp3", ("mp3",))
MP2 = AudioKind("mp2", "av", "mp3", ("mp2",))  # libsndfile only estimates the length of layer 2
VORBIS = AudioKind("vorbis", "soundfile", "ogg", ("ogg", "oga"))
OPUS = AudioKind("opus", "soundfile", "ogg", ("opus",))
OGG_FLAC = AudioKind("ogg-flac", "soundfile", "ogg", ("oga",))
SPEEX = AudioKind("speex", "av", "ogg", ("spx",))
MP4 = AudioKind("mp4", "av", "mov", ("m4a", "m4b", "m4r", "mp4", "3gp"))
ASF = AudioKind("asf", "av", "asf", ("wma", "asf"))
MATROSKA = AudioKind("matroska", "av", "matroska", ("mka", "webm"))
ADTS = AudioKind("aac", "av", "aac", ("aac",))
AC3 = AudioKind("ac3", "av", "ac3", ("ac3",))
EAC3 = AudioKind("eac3", "av", "eac3", ("eac3", "ec3"))
DTS = AudioKind("dts", "av", "dts", ("dts",))
WAVPACK = AudioKind("wavpack", "av", "wv", ("wv",))
TTA = AudioKind("tta", "av", "tta", ("tta",))
APE = AudioKind("ape", "av", "ape", ("ape",))
AMR = AudioKind("amr", "av", "amr", ("amr",))
FLV = AudioKind("flv", "av", "flv", ("flv",))

KINDS = (
    *(WAV, W64, AIFF, CAF, AU, FLAC, MP3, MP2, VORBIS, OPUS, OGG_FLAC, SPEEX),
    *(MP4, ASF, MATROSKA, ADTS, AC3, EAC3, DTS, WAVPACK, TTA, APE, AMR, FLV),
)
"""Every container that is read."""

_MAGIC = (
    (b"fLaC", FLAC),
    (b"caff", CAF),
    (b".snd", AU),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ASF),
    (b"\x1a\x45\xdf\xa3", MATROSKA),
    (b"wvpk", WAVPACK),
    (b"TTA1", TTA),
    (b"MAC ", APE),
    (b"#!AMR", AMR),
    (b"FLV\x01", FLV),
    (b"\x7f\xfe\x80\x01", DTS),
)

_OGG_MAGIC = (
    (b"\x01vorbis", VORBIS),
    (b"OpusHead", OPUS),
    (b"\x7fFLAC", OGG_FLAC),
    (b"Speex   ", SPEEX),
)

_NOT_AUDIO = (
    (b"#EXTM3U", "an HLS or M3U playlist"),
    (b"ffconcat", "an ffconcat playlist"),
    (b"[playlist]", "a PLS playlist"),
    (b"[Reference]", "an ASX reference"),
    (b"v=0\n", "an SDP session description"),
    (b"v=0\r\n", "an SDP session description"),
    (b"FILE ", "a cue sheet"),
    (b"REM ", "a cue sheet"),
    (b"TITLE ", "a cue sheet"),
    (b"PERFORMER ", "a cue sheet"),
    (b"file:", "a list of files"),
    (b"http:", "a list of addresses"),
    (b"https:", "a list of addresses"),
    (b"<", "XML or HTML"),
    (b"{", "JSON"),
    (b"version https://git-lfs", "a git-lfs pointer"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"MThd", "a MIDI file"),
)


def sniff(data: bytes) -> AudioKind:
    """Recognises the container of a file.

    Raises:
      FormatNotAllowed: a known format that is not read as audio: a playlist, picture, text, reference to another file.
      UnknownFormat: no known format.
    """
    start = id3_size(data)
    body = data[start : start + HEAD_BYTES]
    kind = _riff(body) or _ogg(body) or _mp4(body) or _plain(body)
    if kind == MP4:
        refuse_references(data)
    if kind is not None:
        return kind
    text = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, what in _NOT_AUDIO:
        if text.startswith(magic):
            raise FormatNotAllowed(f"it is {what}")
    return _streamed(data, start)


def _streamed(data: bytes, start: int) -> AudioKind:
    """Recognises streams that consist of frames without a file header."""
    body = data[start : start + SEARCH_BYTES]
    if _is_adts(body):
        return ADTS
    if body[:2] == b"\x0b\x77" and len(body) > 5:
        return EAC3 if body[5] >> 3 > 10 else AC3
    if (kind := mpeg_kind(body)) is not None:
        return kind
    raise UnknownFormat(f"it begins with {body[:8].hex(' ')}")


def mpeg_kind(data: bytes) -> AudioKind | None:
    """MP3 or MP2, by the layer of the first frame within `SEARCH_BYTES`; None if there is no frame."""
    body = data[:SEARCH_BYTES]
    at = find_mpeg_frame(body)
    frame = mpeg_frame(body[at : at + 4]) if at is not None else None
    if frame is None:
        return None
    return MP3 if frame.layer == 3 else MP2


def _is_adts(body: bytes) -> bool:
    """Whether the bytes begin with two consecutive AAC frames."""
    for _ in range(2):
        if len(body) < 7 or body[0] != 0xFF or body[1] & 0xF6 != 0xF0:
            return False
        size = (body[3] & 3) << 11 | body[4] << 3 | body[5] >> 5
        if size < 7:
            return False
        body = body[size:]
    return True


def _riff(body: bytes) -> AudioKind | None:
    form = body[8:12]
    if body[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and form == b"WAVE":
        return WAV
    if body[:4] == b"FORM" and form in (b"AIFF", b"AIFC"):
        return AIFF
    return W64 if body[:4] == b"riff" and body[24:28] == b"wave" else None


def _ogg(body: bytes) -> AudioKind | None:
    if body[:4] != b"OggS":
        return None
    packet = body[27 + body[26] :] if len(body) > 27 else b""
    for magic, kind in _OGG_MAGIC:
        if packet.startswith(magic):
            return kind
    raise FormatNotAllowed(f"it is Ogg whose first packet begins with {packet[:8].hex(' ')}")


def _mp4(body: bytes) -> AudioKind | None:
    """Recognises ISO media by the file type box, and old QuickTime by the boxes that it begins with."""
    return MP4 if body[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip") else None


def _plain(body: bytes) -> AudioKind | None:
    for magic, kind in _MAGIC:
        if body.startswith(magic):
            return kind
    return None
