"""AudioSource on PyAV (ffmpeg's libraries): AAC, ALAC, WMA and all else that libsndfile does not read.

ffmpeg gets bytes and the name of one demuxer. It never guesses a format, and it cannot open any other file.
"""

import io
import itertools
from collections.abc import Iterator, Sequence
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

_JOINED = 16
"""Most frames that are taken at a time: a call for each frame takes longer than its copy, and more leave the cache."""

_FORMATS = {
    "u8": ("u1", 128.0, 128.0),
    "s16": ("i2", 0.0, 32_768.0),
    "s32": ("i4", 0.0, 2_147_483_648.0),
    "flt": ("f4", 0.0, 1.0),
    "dbl": ("f8", 0.0, 1.0),
}
"""NumPy type, zero level and full scale of the supported sample formats, packed or planar."""

Rows = list[Float32]
"""Samples of each channel."""


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
        self._frames = self._decode()
        self._failure: DecodeError | None = None
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
            if not len(self._rest[0]) and not self._advance(frames - count):
                break
            taken = min(len(self._rest[0]), frames - count)
            for row, samples in zip(self._block, self._rest, strict=True):
                row[count : count + taken] = samples[:taken]
            self._rest = [samples[taken:] for samples in self._rest]
            count += taken
        return self._block[:, :count].T

    def _advance(self, wanted: int) -> bool:
        """Takes the next frames, up to the one with the last of the `wanted` samples; returns whether there are any.

        A failure after some frames is raised when the frames are used up.
        """
        if self._failure is not None:
            raise self._failure
        taken: list[Any] = []
        skipped = count = 0
        try:
            while count < wanted and len(taken) < _JOINED and (following := next(self._frames, None)) is not None:
                frame, skip = following  # only the first frame after a seek is not taken as a whole
                taken.append(frame)
                skipped, count = skipped + skip, count + frame.samples - skip
        except DecodeError as error:
            if not taken:
                raise
            self._failure = error
        if taken:
            self._rest = [row[skipped:] for row in _joined(taken, self.channels)]
        return bool(taken)

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

    def _decode(self) -> Iterator[tuple[Any, int]]:
        """Yields frames from the container's position on, and the samples to be skipped of each; counts and skips
        packets that fail.
        """
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
                skipped = self._skipped(frame)
                if skipped < frame.samples:
                    yield frame, skipped

    def _packets(self) -> Iterator[Any]:
        while True:
            try:
                yield from self._container.demux(self._stream)
            except IndexError:  # a packet of a stream that began after the file was opened: PyAV does not know it
                continue
            except av.error.FFmpegError as error:
                raise DecodeError(str(error.strerror)) from error
            return

    def _skipped(self, frame: Any) -> int:
        """The number of samples of a frame before the target of the last seek."""
        if frame.sample_rate != self.rate_hz or frame.layout.nb_channels != self.channels:
            raise DecodeError("the sample rate or the channels change in the middle")
        if self._skip_to is None:
            return 0
        if frame.pts is None or (frame.pts - self._origin > self._skip_to and self._skip_to > 0):
            raise DecodeError(f"frame {self._skip_to} cannot be sought")
        skipped: int = max(0, self._skip_to - (frame.pts - self._origin))
        if skipped < frame.samples:
            self._skip_to = None
        return skipped


def _joined(frames: Sequence[Any], channels: int) -> Rows:
    """Samples of each channel of decoded frames, with full scale 1."""
    runs = [_to_float(name, list(run), channels) for name, run in itertools.groupby(frames, lambda f: f.format.name)]
    return runs[0] if len(runs) == 1 else [np.concatenate(rows) for rows in zip(*runs, strict=True)]


def _to_float(name: str, frames: Sequence[Any], channels: int) -> Rows:
    """Samples of each channel of frames of one format."""
    stem = name.removesuffix("p")
    if stem not in _FORMATS:
        raise UnsupportedCodec(f"samples of format {name}")
    dtype, zero, scale = _FORMATS[stem]
    rows: list[npt.NDArray[Any]]
    if stem != name:  # planar. With 8 channels, PyAV lists a ninth plane that is invalid: to_ndarray would read it
        planes = [frame.planes for frame in frames]
        sizes = [frame.samples * np.dtype(dtype).itemsize for frame in frames]
        rows = [_samples([of_frame[i] for of_frame in planes], sizes, dtype) for i in range(channels)]
    else:
        sizes = [frame.samples * channels * np.dtype(dtype).itemsize for frame in frames]
        rows = list(_samples([frame.planes[0] for frame in frames], sizes, dtype).reshape(-1, channels).T)
    if scale == 1.0:
        return [row.astype(np.float32, copy=False) for row in rows]
    if zero:
        rows = [row.astype(np.float32) - np.float32(zero) for row in rows]
    return [np.multiply(row, np.float32(1 / scale), dtype=np.float32, casting="unsafe") for row in rows]


def _samples(planes: Sequence[Any], sizes: Sequence[int], dtype: str) -> npt.NDArray[Any]:
    """The samples of planes in a row. A plane may be longer than its samples; `sizes` are theirs in bytes."""
    parts = zip(planes, sizes, strict=True)
    data = b"".join([plane if plane.buffer_size == size else memoryview(plane)[:size] for plane, size in parts])
    return np.frombuffer(data, dtype)


def _open_error(error: av.error.FFmpegError) -> TrackError:
    text = str(error.strerror)
    if isinstance(error, av.error.DecoderNotFoundError | av.error.PatchWelcomeError | av.error.NotImplementedError):
        return UnsupportedCodec(text)
    return ImplausibleHeader(text)
