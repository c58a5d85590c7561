"""AudioSource on PyAV (ffmpeg's libraries): AAC, ALAC, WMA and all else that libsndfile does not read.

ffmpeg gets bytes and the name of one demuxer. It never guesses a format, and it cannot open any other file.
"""

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from transforms.audio.containers.kinds import MP4, TTA, WAVPACK, AudioKind
from transforms.audio.errors import (
    DecodeError,
    FormatNotAllowed,
    ImplausibleHeader,
    NoAudio,
    TrackError,
    UnsupportedCodec,
)
from transforms.audio.samples import Float32

_EXACT = (MP4, WAVPACK, TTA)
"""Containers that state their length and the position of every packet in samples, which makes seeks exact."""

_LONGEST_BAD_RUN = 200
"""Most consecutive packets that may fail before decoding ends with an error."""

_PREROLL = 4096
"""Samples decoded and dropped before the target of a seek: the first frames lack the overlap of earlier ones."""

_FORMATS = {
    "u8": ("u1", 128.0, 128.0),
    "s16": ("i2", 0.0, 32_768.0),
    "s32": ("i4", 0.0, 2_147_483_648.0),
    "flt": ("f4", 0.0, 1.0),
    "dbl": ("f8", 0.0, 1.0),
}
"""NumPy type, zero level and full scale of the supported sample formats, packed or planar."""

Rows = list[Float32]
"""Samples of each channel. They may be those of the decoder's frame."""


def _refuse(url: str, flags: int, options: dict[str, Any]) -> Any:
    raise FormatNotAllowed(f"it refers to another file: {url!r}")


class AvSource:
    """See AudioSource. Reads the first audio stream."""

    def __init__(self, data: bytes, kind: AudioKind) -> None:
        av.logging.set_level(None)
        self._data, self._kind = data, kind
        self.lost_packets = 0
        self._start()
        self._block: Float32 = np.empty((self._stream.channels, 0), np.float32)
        self.rate_hz: int = self._stream.rate
        self.channels: int = self._stream.channels
        self.can_seek = kind in _EXACT and self._stream.time_base == Fraction(1, self.rate_hz)
        self.frames: int | None = self._length() if self.can_seek else None

    def _length(self) -> int | None:
        """Length in samples that the container states; None if it states none or its index extends beyond it."""
        length, index = self._stream.duration, self._stream.index_entries
        if not length or length < 0 or (len(index) and index[len(index) - 1].timestamp - self._origin >= length):
            return None
        return int(length)

    def _start(self) -> None:
        """Opens the file at its beginning."""
        try:
            self._container = av.open(
                io.BytesIO(self._data),
                mode="r",
                format=self._kind.demuxer,
                io_open=_refuse,
                metadata_errors="ignore",
                buffer_size=1 << 16,
            )
        except av.error.FFmpegError as error:
            raise _open_error(error) from error
        if not self._container.streams.audio:
            raise NoAudio("the file has no audio stream")
        self._stream = self._container.streams.audio[0]
        self._check_codec()
        self._origin: int = self._stream.start_time or 0  # the audio of an MP4 may begin later than 0
        self._restart(None)

    def _restart(self, skip_to: int | None) -> None:
        """Decodes from the container's position on and drops the samples before `skip_to`."""
        self._blocks = self._decode()
        self._rest: Rows = [np.empty(0, np.float32)] * self._stream.channels
        self._skip_to = skip_to

    def _check_codec(self) -> None:
        context = self._stream.codec_context
        if context is None:
            raise UnsupportedCodec("no decoder for the audio stream")
        if not self._stream.rate or not self._stream.channels:
            raise ImplausibleHeader(f"{context.name}: no sample rate or no channels")

    def read(self, frames: int) -> Float32:
        """See AudioSource."""
        if self._block.shape[1] < frames:
            self._block = np.empty((self.channels, frames), np.float32)
        count = 0
        while count < frames:
            if not len(self._rest[0]) and not self._advance():
                break
            taken = min(len(self._rest[0]), frames - count)
            for row, samples in zip(self._block, self._rest, strict=True):
                row[count : count + taken] = samples[:taken]
            self._rest = [samples[taken:] for samples in self._rest]
            count += taken
        return self._block[:, :count].T

    def _advance(self) -> bool:
        """Takes the next decoded samples; returns whether there are any."""
        rows = next(self._blocks, None)
        if rows is None:
            return False
        self._rest = rows
        return True

    def seek(self, frame: int) -> None:
        """See AudioSource."""
        if frame <= _PREROLL:  # only a newly opened decoder drops the encoder's delay
            self._container.close()
            self._start()
            self._restart(frame)
            return
        try:
            self._container.seek(frame - _PREROLL + self._origin, stream=self._stream)
        except av.error.FFmpegError as error:
            raise DecodeError(f"seeking to frame {frame}: {error.strerror}") from error
        self._restart(frame)

    def close(self) -> None:
        """See AudioSource."""
        self._container.close()

    def _decode(self) -> Iterator[Rows]:
        """Yields samples from the container's position on; counts and skips packets that fail."""
        bad_run = 0
        for packet in self._packets():
            try:
                decoded = packet.decode()
            except av.error.FFmpegError:
                self.lost_packets += 1
                bad_run += 1
                if bad_run > _LONGEST_BAD_RUN:
                    raise DecodeError(f"{bad_run} packets in a row cannot be decoded") from None
                continue
            for frame in decoded:
                bad_run = 0
                rows = self._place(frame)
                if len(rows[0]):
                    yield rows

    def _packets(self) -> Iterator[Any]:
        while True:
            try:
                yield from self._container.demux(self._stream)
            except IndexError:  # a packet of a stream that began after the file was opened: PyAV does not know it
                continue
            except av.error.FFmpegError as error:
                raise DecodeError(str(error.strerror)) from error
            return

    def _place(self, frame: Any) -> Rows:
        """A frame's samples without those before the target of the last seek."""
        if frame.sample_rate != self.rate_hz or frame.layout.nb_channels != self.channels:
            raise DecodeError("the sample rate or the channels change in the middle")
        rows = _to_float(frame, self.channels)
        if self._skip_to is None:
            return rows
        if frame.pts is None or (frame.pts - self._origin > self._skip_to and self._skip_to > 0):
            raise DecodeError(f"frame {self._skip_to} cannot be sought")
        skipped = max(0, self._skip_to - (frame.pts - self._origin))
        if skipped < len(rows[0]):
            self._skip_to = None
        return [row[skipped:] for row in rows]


def _to_float(frame: Any, channels: int) -> Rows:
    """Samples of each channel of a decoded frame, with full scale 1."""
    name = frame.format.name.removesuffix("p")
    if name not in _FORMATS:
        raise UnsupportedCodec(f"samples of format {frame.format.name}")
    dtype, zero, scale = _FORMATS[name]
    rows: list[npt.NDArray[Any]]
    if frame.format.is_planar:  # with 8 channels, PyAV lists a ninth plane that is invalid: to_ndarray would read it
        rows = [np.frombuffer(plane, dtype, frame.samples) for plane in frame.planes[:channels]]
    else:
        rows = list(np.frombuffer(frame.planes[0], dtype, frame.samples * channels).reshape(-1, channels).T)
    if scale == 1.0:
        return [row.astype(np.float32, copy=False) for row in rows]
    return [(row.astype(np.float32) - np.float32(zero)) * np.float32(1 / scale) for row in rows]


def _open_error(error: av.error.FFmpegError) -> TrackError:
    text = str(error.strerror)
    if isinstance(error, av.error.DecoderNotFoundError | av.error.PatchWelcomeError | av.error.NotImplementedError):
        return UnsupportedCodec(text)
    return ImplausibleHeader(text)
