"""The length that a container claims, checked against the bytes of the file."""

import dataclasses
import functools
from collections.abc import Callable

from transforms.audio.containers import chunked as chunks
from transforms.audio.containers import flac, wavpack
from transforms.audio.containers.kinds import (
    AIFF,
    AU,
    CAF,
    FLAC,
    MP2,
    MP3,
    MP4,
    OGG_FLAC,
    OPUS,
    SPEEX,
    VORBIS,
    W64,
    WAV,
    WAVPACK,
    AudioKind,
)
from transforms.audio.containers.metadata_tags import id3_size
from transforms.audio.containers.mp4 import missing_bytes
from transforms.audio.containers.mpeg import scan_mpeg, with_length_tag
from transforms.audio.containers.mpeg_packets import Packets, packets_of
from transforms.audio.containers.ogg_chains import links_alike, only_audio, scan_ogg
from transforms.audio.containers.ogg_positions import opus, vorbis
from transforms.audio.containers.sniff import locate, mpeg_kind

BELIEVED = 20
"""A header is not believed if it claims more than this many times what the file contains."""

UNVERIFIED = "length_unverified"

_STREAMED = 0x7FFFF000
"""Bytes. A claim of at least this size is the placeholder of a streaming writer that does not know the length."""
_MPEG_IN_WAV = 0x0055
_LEAST_FLAC_FRAME = 10
_MOST_FLAC_BLOCK = 65_535


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contents:
    """A file that is ready for its decoder.

    Attributes:
      data: the bytes, corrected if the length in the header was missing or wrong.
      wrapped: the kind of the bytes if an outer container was removed, else None.
      packets: packets of a clean MP3, for the fastest way to read it; None for every other file.
      links: the streams of a chained file, in the order they are read; empty if there is only one.
      stretch: ratio of the claimed length to the length in the file; over 1 in a truncated file.
      is_counted: whether the length was counted in the data. A decoder that returns less has then failed.
      most_samples: upper bound on a plausible claim of the header; None if there is no bound.
      shows_end: whether the container marks its end and has checksums per page, so that any damage is visible.
      notes: defects of the file, for the ledger.
    """

    data: bytes
    wrapped: AudioKind | None = None
    packets: Packets | None = None
    links: tuple[bytes, ...] = ()
    stretch: float = 1.0
    is_counted: bool = False
    most_samples: int | None = None
    shows_end: bool = False
    notes: tuple[str, ...] = ()


def identify(data: bytes) -> tuple[AudioKind, Contents]:
    """Recognises a file, removes what is before its audio, and checks what it claims. Raises as `locate` does."""
    kind, start = locate(data)
    if not start:
        return kind, inspect(data, kind)
    audio = data[start:]
    if kind == FLAC and not audio.startswith(b"fLaC"):
        audio = flac.with_header(audio)
    contents = inspect(audio, kind)
    if not data[id3_size(data) : start].strip(b"\0"):  # padding
        return kind, contents
    return kind, dataclasses.replace(contents, notes=(f"skipped: {start} bytes before the audio", *contents.notes))


def inspect(data: bytes, kind: AudioKind) -> Contents:
    """Checks what a file claims about its length. Never raises: the decoder rejects unreadable files."""
    if kind != MP3 and (start := id3_size(data)):  # other formats do not allow ID3 tags in front
        data = data[start:]
    inspector = _INSPECTORS.get(kind)
    return Contents(data=data) if inspector is None else inspector(data)


def _wav(data: bytes) -> Contents:
    audio = chunks.wav_audio(data)
    if audio is not None and audio.codec == _MPEG_IN_WAV:
        return _mpeg_in_wav(data, audio)
    return _sized(data, audio)


def _mpeg_in_wav(data: bytes, audio: chunks.Audio) -> Contents:
    """Removes the WAV around an MP3: libsndfile guesses the length of a wrapped MP3 from its first frame."""
    end = audio.at + audio.claimed
    is_known = audio.claimed > 0 and end < _STREAMED and not chunks.goes_on(data, audio)
    body = data[audio.at : end] if is_known else data[audio.at :]
    if mpeg_kind(body) != MP3:
        return Contents(data=body, wrapped=dataclasses.replace(MP2, name=WAV.name))
    contents = _mp3(body)
    notes = [note for note in contents.notes if note != UNVERIFIED or not is_known]
    if is_known and end > len(data):
        notes.insert(0, f"truncated: {end - len(data)} bytes are missing")
    return dataclasses.replace(contents, wrapped=dataclasses.replace(MP3, name=WAV.name), notes=tuple(notes))


def _chunked(data: bytes, *, find: Callable[[bytes], chunks.Audio | None]) -> Contents:
    return _sized(data, find(data))


def _sized(data: bytes, audio: chunks.Audio | None) -> Contents:
    """Checks the number of bytes that the header claims."""
    if audio is None or audio.at >= len(data):
        return Contents(data=data)
    claimed, there = audio.claimed, len(data) - audio.at
    if claimed < 0 or claimed > BELIEVED * there or (claimed > there and claimed >= _STREAMED):
        return Contents(data=data, notes=(UNVERIFIED,))
    if claimed > there:
        return Contents(data=data, stretch=claimed / there, notes=(f"truncated: {there} of {claimed} bytes of audio",))
    if chunks.goes_on(data, audio):
        return Contents(data=chunks.with_claimed(data, audio, there), notes=(UNVERIFIED,))
    if claimed == 0 or audio.head:  # libsndfile would read whatever follows as audio
        data = data[: audio.at + claimed]
    return Contents(data=data, is_counted=True)


def _flac(data: bytes) -> Contents:
    """Checks the claimed samples. A FLAC frame has at least 10 bytes and at most 65,535 samples."""
    most = len(data) // _LEAST_FLAC_FRAME * _MOST_FLAC_BLOCK
    claimed = flac.claimed_samples(data)
    last_frame = flac.counted_samples(data) if claimed else None
    if last_frame is None or last_frame[0] > most:
        return Contents(data=data, most_samples=most)
    counted, at = last_frame
    if flac.has_another(data, at if counted == claimed else 0):
        return Contents(data=data, most_samples=most, notes=("chained: another file follows and is left out",))
    if counted == claimed:
        return Contents(data=data, is_counted=True)
    return Contents(data=flac.with_samples(data, counted), notes=(UNVERIFIED,))


def _wavpack(data: bytes) -> Contents:
    claimed, counted = wavpack.claimed_samples(data), wavpack.counted_samples(data)
    if claimed is None or counted is None or counted == claimed:
        return Contents(data=data, is_counted=claimed is not None and counted == claimed)
    return Contents(data=wavpack.with_samples(data, counted), notes=(UNVERIFIED,))


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
    keeps_own = keeps_tag and not scan.is_vbri
    if keeps_own and len(scan.spans) == 1 and scan.spans[0][0] == start:
        return Contents(data=data, packets=packets_of(data, scan), is_counted=True, notes=tuple(notes))
    corrected = with_length_tag(data, scan, keep_tag=keeps_own, claimed=claimed if keeps_tag else None)
    packets = packets_of(corrected, rescan) if (rescan := scan_mpeg(corrected)) else None
    return Contents(data=corrected, packets=packets, is_counted=True, notes=tuple(notes))


def _ogg(data: bytes, *, corrected: Callable[[bytes], bytes] = bytes) -> Contents:
    scan = scan_ogg(data)
    notes = []
    if scan.together > 1:
        data, streams = only_audio(data)
        scan = scan_ogg(data)
        notes = [f"streams: 1 of {streams} that play together is read"] if streams > 1 else []
    if scan.lost:
        notes.append(f"lost_pages: {scan.lost} damaged or missing")
    links: tuple[bytes, ...] = ()
    if len(scan.links) > 1:
        links = links_alike(data, scan)
        notes.append(f"chained: {len(links)} of {len(scan.links)} streams are read, those like the first")
    if not scan.has_end:
        notes.append("truncated: the stream has no last page")
    if not scan.lost:
        data, links = corrected(data), tuple(map(corrected, links))
    return Contents(data=data, links=links, shows_end=True, notes=tuple(notes))


def _mp4(data: bytes) -> Contents:
    missing = missing_bytes(data)
    return Contents(data=data, notes=(f"truncated: {missing} bytes are missing",) if missing else ())


_INSPECTORS: dict[AudioKind, Callable[[bytes], Contents]] = {
    WAV: _wav,
    W64: functools.partial(_chunked, find=chunks.w64_audio),
    AIFF: functools.partial(_chunked, find=chunks.aiff_audio),
    CAF: functools.partial(_chunked, find=chunks.caf_audio),
    AU: functools.partial(_chunked, find=chunks.au_audio),
    FLAC: _flac,
    MP3: _mp3,
    VORBIS: functools.partial(_ogg, corrected=vorbis.with_counted_positions),
    OPUS: functools.partial(_ogg, corrected=opus.from_zero),
    SPEEX: _ogg,
    OGG_FLAC: _ogg,
    MP4: _mp4,
    WAVPACK: _wavpack,
}
