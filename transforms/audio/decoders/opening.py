"""Samples from bytes, a block at a time: nothing here trusts a header with memory."""

import contextlib
import io
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from transforms.audio.containers.mpeg_packets import Packets
from transforms.audio.containers.sniff import Kind
from transforms.audio.errors import (
    DecodeError,
    ImplausibleHeader,
    TrackError,
    UnsupportedChannels,
    UnsupportedCodec,
    UnsupportedRate,
)
from transforms.audio.limits import Limits

Float32 = npt.NDArray[np.float32]


class Source(Protocol):
    """Audio that is decoded in blocks.

    Attributes:
      rate_hz: sample rate.
      channels: number of channels.
      frames: length that the header claims; None where it claims nothing.
      can_seek: whether `seek` is exact.
      lost_packets: packets that failed and were left out so far.
    """

    rate_hz: int
    channels: int
    frames: int | None
    can_seek: bool
    lost_packets: int

    def read(self, frames: int) -> Float32:
        """The next frames, float32 [at most frames, channels], or [..., 1] of a source that mixes; empty at the end.

        The array is good until the next call. Raises DecodeError.
        """

    def seek(self, frame: int) -> None:
        """Make `frame` the next one that is read. Raises DecodeError."""

    def close(self) -> None:
        """Free the decoder."""


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read straight on.

    Called seekable, soundfile seeks to where it is after every read, which some decoders pay for and others fail at.
    """

    def seekable(self) -> bool:
        return False


_NOT_SOUGHT = ("DWVW_12", "DWVW_16", "DWVW_24", "DWVW_N")
"""Codings that libsndfile says it seeks in, and fails to."""


class SoundFileSource:
    """Source on libsndfile: WAV, AIFF, CAF, AU, FLAC, MP3, Ogg."""

    lost_packets = 0

    def __init__(self, data: bytes) -> None:
        try:
            self._file = _Sequential(io.BytesIO(data))
        except soundfile.LibsndfileError as error:
            raise _open_error(error) from error
        self.rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.can_seek: bool = soundfile.SoundFile.seekable(self._file) and self._file.subtype not in _NOT_SOUGHT
        self._block = np.empty((0, self.channels), np.float32)
        claimed: int = self._file.frames
        self.frames = claimed if 0 < claimed < 1 << 62 else None

    def read(self, frames: int) -> Float32:
        """See Source."""
        if len(self._block) < frames:
            self._block = np.empty((frames, self.channels), np.float32)
        try:
            block: Float32 = self._file.read(frames, dtype="float32", out=self._block[:frames])
        except soundfile.LibsndfileError as error:
            raise DecodeError(error.error_string) from error
        return block

    def seek(self, frame: int) -> None:
        """See Source."""
        try:
            self._file.seek(frame)
        except soundfile.LibsndfileError as error:
            raise DecodeError(f"seeking to frame {frame}: {error.error_string}") from error

    def close(self) -> None:
        """See Source."""
        self._file.close()


_UNIMPLEMENTED = ("unimplemented format", "unsupported encoding", "not supported")


def _open_error(error: soundfile.LibsndfileError) -> TrackError:
    text = str(error.error_string)
    if any(phrase in text for phrase in _UNIMPLEMENTED):
        return UnsupportedCodec(text)
    return ImplausibleHeader(text)


@contextlib.contextmanager
def open_packets(data: bytes, packets: Packets, limits: Limits) -> Iterator[Source]:
    """Open a clean MP3 for reading straight on. Raises UnsupportedChannels, UnsupportedRate."""
    from transforms.audio.decoders.mpeg_source import MpegSource

    source = MpegSource(data, packets)
    _check(source, limits)
    yield source


@contextlib.contextmanager
def open_source(data: bytes, kind: Kind, limits: Limits, links: tuple[bytes, ...] = ()) -> Iterator[Source]:
    """Open a file, or the `links` of a chained one, and check what its header claims.

    Raises:
      ImplausibleHeader: the header is broken.
      UnsupportedCodec, UnsupportedChannels, UnsupportedRate, NoAudio: the header is good but the audio is not read.
    """
    source = _chain(links, kind) if links else _decoder(data, kind)
    try:
        _check(source, limits)
        yield source
    finally:
        source.close()


def _decoder(data: bytes, kind: Kind) -> Source:
    """libsndfile for what it reads; ffmpeg for the rest, and for the valid files that libsndfile refuses."""
    if kind.decoder == "av":
        return _av_source(data, kind)
    try:
        return SoundFileSource(data)
    except (ImplausibleHeader, UnsupportedCodec) as error:
        try:
            return _av_source(data, kind)
        except TrackError:
            raise error from None


def _chain(links: tuple[bytes, ...], kind: Kind) -> Source:
    from transforms.audio.decoders.chained_source import ChainedSource

    return ChainedSource(links, lambda data: _decoder(data, kind))


def _av_source(data: bytes, kind: Kind) -> Source:
    from transforms.audio.decoders.av_source import AvSource

    return AvSource(data, kind)


def _check(source: Source, limits: Limits) -> None:
    if not limits.min_rate_hz <= source.rate_hz <= limits.max_rate_hz:
        raise UnsupportedRate(f"{source.rate_hz} Hz: {limits.min_rate_hz} to {limits.max_rate_hz} Hz are read")
    if not 1 <= source.channels <= limits.max_channels:
        raise UnsupportedChannels(f"{source.channels} channels: 1 to {limits.max_channels} are read")


def downmix(block: Float32) -> Float32:
    """Mean of the channels: float32 [frames, channels] -> float32 [frames].

    A matrix product takes a twentieth of the time of `np.mean` here.
    """
    channels = block.shape[1]
    if channels == 1:
        return block[:, 0]
    return block @ np.full(channels, 1 / channels, np.float32)
