"""What a file is, decided by its first bytes and never by its name."""

import dataclasses
from typing import Literal

from transforms.signal.errors import FormatNotAllowed, UnknownFormat

Decoder = Literal["soundfile", "av"]

HEAD_BYTES = 4096
"""How much of a file is looked at."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """A container: its name in the ledger and who decodes it."""

    name: str
    decoder: Decoder


WAV, W64, AIFF, CAF = (Kind(name, "soundfile") for name in ("wav", "w64", "aiff", "caf"))
AU, FLAC, MP3 = (Kind(name, "soundfile") for name in ("au", "flac", "mp3"))
VORBIS, OPUS, OGG_FLAC = (Kind(name, "soundfile") for name in ("vorbis", "opus", "ogg-flac"))

_NOT_AUDIO = (
    (b"#EXTM3U", "an HLS or M3U playlist"),
    (b"ffconcat", "an ffconcat playlist"),
    (b"[playlist]", "a PLS playlist"),
    (b"v=0\n", "an SDP session description"),
    (b"v=0\r\n", "an SDP session description"),
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


def sniff(data: bytes) -> Kind:
    """The container of a file.

    Raises:
      FormatNotAllowed: a playlist, picture, text or another format that is not read as audio.
      UnknownFormat: nothing that is known.
    """
    body = data[id3_size(data) :][:HEAD_BYTES]
    kind = _riff(body) or _ogg(body) or _plain(body)
    if kind is not None:
        return kind
    text = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, what in _NOT_AUDIO:
        if text.startswith(magic):
            raise FormatNotAllowed(f"it is {what}")
    if data[:3] == b"ID3" or find_mpeg_frame(data[:MPEG_SEARCH_BYTES]) is not None:
        return MP3
    raise UnknownFormat(f"it begins with {data[:8].hex(' ')}")


def id3_size(data: bytes) -> int:
    """Bytes of the ID3v2 tag at the start of a file, 0 where there is none or it claims more than the file has."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    size += 20 if data[5] & 0x10 else 10
    return size if size < len(data) else 0


def _riff(body: bytes) -> Kind | None:
    form = body[8:12]
    if body[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and form == b"WAVE":
        return WAV
    if body[:4] == b"FORM" and form in (b"AIFF", b"AIFC"):
        return AIFF
    return W64 if body[:4] == b"riff" and body[24:28] == b"wave" else None


def _ogg(body: bytes) -> Kind | None:
    if body[:4] != b"OggS":
        return None
    packet = body[27 + body[26] :] if len(body) > 27 else b""
    if packet[:7] == b"\x01vorbis":
        return VORBIS
    if packet[:8] == b"OpusHead":
        return OPUS
    if packet[:5] == b"\x7fFLAC":
        return OGG_FLAC
    raise FormatNotAllowed(f"Ogg whose first packet begins with {packet[:8].hex(' ')}")


def _plain(body: bytes) -> Kind | None:
    for magic, kind in ((b"fLaC", FLAC), (b"caff", CAF), (b".snd", AU)):
        if body.startswith(magic):
            return kind
    return None


MPEG_SEARCH_BYTES = 1 << 17
"""How far into a file the first MPEG audio frame is looked for."""

_BITRATES = {
    (3, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MpegFrame:
    """One MPEG audio frame header. `size` in bytes, 0 for the free format."""

    layer: int
    rate_hz: int
    channels: int
    samples: int
    size: int
    side_info: int


def mpeg_frame(head: bytes) -> MpegFrame | None:
    """The frame header in the first 4 bytes, or None where there is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer_bits = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate_index = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer_bits == 0 or bitrate == 15 or rate_index == 3:
        return None
    rate = _RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    samples = {3: 384, 2: 1152, 1: 1152 if version == 3 else 576}[layer_bits]
    return MpegFrame(
        layer=4 - layer_bits,
        rate_hz=rate,
        channels=1 if head[3] >> 6 == 3 else 2,
        samples=samples,
        size=_frame_size(version, layer_bits, bitrate, rate, samples, head[2] >> 1 & 1),
        side_info=_side_info(version, head[3] >> 6 == 3),
    )


def _frame_size(version: int, layer_bits: int, bitrate: int, rate: int, samples: int, padding: int) -> int:
    if bitrate == 0:
        return 0
    table = _BITRATES[3, layer_bits] if version == 3 else _BITRATES[2, 3 if layer_bits == 3 else 2]
    slot = 4 if layer_bits == 3 else 1
    return (samples // 8 * table[bitrate - 1] * 1000 // rate // slot + padding) * slot


def _side_info(version: int, mono: bool) -> int:
    if version == 3:
        return 17 if mono else 32
    return 9 if mono else 17


def find_mpeg_frame(data: bytes) -> int | None:
    """Offset of the first MPEG audio frame that another one of the same kind follows, or None."""
    at = data.find(b"\xff")
    while at >= 0:
        frame = mpeg_frame(data[at : at + 4])
        if frame is not None and _is_followed(data, at, frame):
            return at
        at = data.find(b"\xff", at + 1)
    return None


def _is_followed(data: bytes, at: int, frame: MpegFrame) -> bool:
    following = mpeg_frame(data[at + frame.size : at + frame.size + 4]) if frame.size else None
    return following is not None and (following.layer, following.rate_hz) == (frame.layer, frame.rate_hz)
