"""Opens a decoder that reads samples block by block. Memory never depends on what a header claims."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from transforms.audio.containers.kinds import AudioKind
from transforms.audio.containers.mpeg_packets import Packets
from transforms.audio.decoders.soundfile_source import (
    SoundFileSource,
)
from transforms.audio.decoders.source import AudioSource
from transforms.audio.errors import (
    ImplausibleHeader,
    TrackError,
    UnsupportedChannels,
    UnsupportedCodec,
    UnsupportedRate,
)
from transforms.audio.limits import Limits

if TYPE_CHECKING:
    from transforms.audio.decoders.mpeg_source import MpegSource


@contextlib.contextmanager
def open_packets(data: bytes, packets: Packets, limits: Limits) -> Iterator["MpegSource"]:
    """Opens a clean MP3 for sequential reading. Raises UnsupportedChannels, UnsupportedRate."""
    from transforms.audio.decoders.mpeg_source import MpegSource  # loads ffmpeg

    source = MpegSource(data, packets)
    _check(source, limits)
    yield source


@contextlib.contextmanager
def open_source(data: bytes, kind: AudioKind, limits: Limits, links: tuple[bytes, ...] = ()) -> Iterator[AudioSource]:
    """Opens a file, or the `links` of a chained one, and checks what its header claims.

    Raises:
      ImplausibleHeader: the header is broken.
      UnsupportedCodec, UnsupportedChannels, UnsupportedRate, NoAudio: the header is valid, but the audio is not read.
    """
    source = _chain(links, kind) if links else _decoder(data, kind)
    try:
        _check(source, limits)
        yield source
    finally:
        source.close()


def _decoder(data: bytes, kind: AudioKind) -> AudioSource:
    """Opens libsndfile for the formats it reads; ffmpeg for all others, and for valid files that libsndfile refuses."""
    if kind.decoder == "av":
        return _av_source(data, kind)
    try:
        return SoundFileSource(data)
    except (ImplausibleHeader, UnsupportedCodec) as error:
        try:
            return _av_source(data, kind)
        except TrackError:
            raise error from None


def _chain(links: tuple[bytes, ...], kind: AudioKind) -> AudioSource:
    from transforms.audio.decoders.chained_source import ChainedSource

    return ChainedSource(links, lambda data: _decoder(data, kind))


def _av_source(data: bytes, kind: AudioKind) -> AudioSource:
    from transforms.audio.decoders.av_source import AvSource  # loads ffmpeg, which most children never need

    return AvSource(data, kind)


def _check(source: AudioSource, limits: Limits) -> None:
    if not limits.min_rate_hz <= source.rate_hz <= limits.max_rate_hz:
        raise UnsupportedRate(f"{source.rate_hz} Hz: {limits.min_rate_hz} to {limits.max_rate_hz} Hz are read")
    if not 1 <= source.channels <= limits.max_channels:
        raise UnsupportedChannels(f"{source.channels} channels: 1 to {limits.max_channels} are read")
