"""Reads the samples that a plan's patches need from a decoder: sequentially, or by seeking to each run of frames."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import soxr

from transforms.audio.channels import STRIDE, ChannelEnergy
from transforms.audio.containers.coded_pcm import LOOKED_AT, coded_frames
from transforms.audio.decoders.source import AudioSource, downmix
from transforms.audio.errors import TrackError
from transforms.audio.samples import Float32
from transforms.features.excerpt import ExcerptRecorder
from transforms.features.patch_samples import PatchSamples
from transforms.features.spec import FeatureSpec

BLOCK_FRAMES = 1 << 16
"""Source frames decoded at a time."""

SMALL_BLOCK_FRAMES = 1 << 12
"""The same near possible damage: an error loses everything decoded before it in the same block."""

LAST_PACKET = 4096
"""Frames by which a claimed length may be wrong: encoders count their last, partly filled packet differently."""

_CODED_CHANNELS, _BEGINNING = 2, 256
"""Channels of samples that may be frames of a codec, and the frames in which most files begin to sound."""

MARGIN_S = 0.1
"""Seconds of audio decoded before and after a run: longer than the resampling filter."""


class Resampler:
    """Resamples mono blocks, with bounded memory and the same result as for the whole track at once."""

    def __init__(self, source_hz: int, target_hz: int) -> None:
        self._stream = soxr.ResampleStream(source_hz, target_hz, 1, dtype="float32") if source_hz != target_hz else None

    def push(self, block: Float32, *, last: bool = False) -> Float32:
        """Returns the resampled audio that is ready after this block, float32 [samples]."""
        if self._stream is None:
            return block
        out: Float32 = self._stream.resample_chunk(block, last=last)
        return out


@dataclasses.dataclass(kw_only=True)
class DecodeTally:
    """Counts of decoding: source frames, non-finite samples set to 0, energy, and the error that ended it early.

    `weights` are those of the channels in the downmix; None for their mean. `is_coded` tells that
    the samples are frames of a codec; `is_examined` that enough samples that are not silence were examined for that.
    `recorder` takes the channels of the excerpt.
    """

    weights: tuple[float, ...] | None = None
    frames: int = 0
    bad: int = 0
    energy: ChannelEnergy = dataclasses.field(default_factory=ChannelEnergy)
    failure: TrackError | None = None
    is_coded: bool = False
    is_examined: bool = False
    recorder: ExcerptRecorder | None = None

    def mono(self, block: Float32, first: int | None = None) -> Float32:
        """Counts a decoded block and returns its downmix with non-finite samples set to 0.

        Args:
          block: float32 [frames, channels].
          first: source frame that it begins with; None: the next one of a sequential reading.
        """
        if self.recorder is not None and len(block):
            self.recorder.hear(self.frames if first is None else first, block.T)
        self.frames += len(block)
        if not self.is_examined and block.shape[1] == _CODED_CHANNELS:
            self._examine(block)
        mono = downmix(block, self.weights)
        if np.isfinite(np.dot(mono, mono)):
            if block.shape[1] > 1 and self.weights is None:
                self.energy.add(block[::STRIDE].T.copy())
            return mono
        good = np.abs(mono) < 1e9  # false for NaN, too
        self.bad += int(len(mono) - np.count_nonzero(good))
        return np.where(good, mono, np.float32(0))

    def _examine(self, block: Float32) -> None:
        """Looks for frames of a codec in what is decoded as samples."""
        begin = next((part for part in (block[:_BEGINNING], block) if part.any()), block[:0])
        first = int(np.argmax(begin.any(axis=1))) if len(begin) else 0
        pcm = as_pcm(block[first : first + LOOKED_AT // _CODED_CHANNELS])
        self.is_coded = self.is_coded or coded_frames(pcm) is not None
        self.is_examined = self.is_coded or (len(pcm) > LOOKED_AT // 2 and bool(pcm.any()))


def as_pcm(block: Float32) -> npt.NDArray[np.int16]:
    """All samples of a block in a row, in 16 bits."""
    scaled = block * np.float32(32_768)
    np.rint(scaled, out=scaled)
    with np.errstate(invalid="ignore"):
        pcm: npt.NDArray[np.int16] = scaled.astype("<i2").reshape(-1)
    return pcm


def read_straight(
    source: AudioSource, gather: PatchSamples, frames: int, spec: FeatureSpec, tally: DecodeTally
) -> DecodeTally:
    """Decodes sequentially from the source's position on, at most `frames` source frames. Returns the tally."""
    resampler = Resampler(source.rate_hz, spec.sample_rate)
    while tally.frames < frames:
        try:
            block = source.read(min(BLOCK_FRAMES, frames - tally.frames))
        except TrackError as error:
            tally.failure = error
            break
        if not len(block):
            break
        gather.add(resampler.push(tally.mono(block)))
    if tally.failure is None:
        gather.add(resampler.push(np.empty(0, np.float32), last=True))
        if frames - LAST_PACKET <= tally.frames < frames:
            gather.end_at(gather.position)
    return tally


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpanReader:
    """Reads runs of a track by seeking to them.

    Attributes:
      gather: receives the samples.
      frames: source frames of the track; nothing after them is read, as in `read_straight`.
      tally: receives the counts.
      spec: the feature spec.
      block_frames: source frames decoded at a time.
      of_gaps: whether the runs are gaps of the excerpt.
    """

    gather: PatchSamples
    frames: int
    tally: DecodeTally
    spec: FeatureSpec
    block_frames: int = BLOCK_FRAMES
    of_gaps: bool = False

    def read(self, source: AudioSource, wanted: tuple[int, int]) -> None:
        """Seeks to a range of samples at the spec's rate and decodes it. Raises TrackError."""
        rate_hz = self.spec.sample_rate
        common = math.gcd(source.rate_hz, rate_hz)
        down, up = source.rate_hz // common, rate_hz // common
        margin = round(MARGIN_S * rate_hz)
        step = max(0, (wanted[0] - margin) // up)  # both rates have a sample at this position
        left = min(self.frames, math.ceil((wanted[1] + margin) * source.rate_hz / rate_hz)) - step * down
        resampler, position, frame = Resampler(source.rate_hz, rate_hz), step * up, step * down
        source.seek(frame)
        while left > 0 and len(block := source.read(min(self.block_frames, left))):
            left -= len(block)
            position = self._place(resampler.push(self.tally.mono(block, frame)), position, wanted)
            frame += len(block)
        position = self._place(resampler.push(np.empty(0, np.float32), last=True), position, wanted)
        is_last = wanted[1] == self.gather.length and not self.of_gaps
        if is_last and wanted[1] - LAST_PACKET * rate_hz // source.rate_hz <= position < wanted[1]:
            self.gather.end_at(position)

    def _place(self, samples: Float32, position: int, wanted: tuple[int, int]) -> int:
        """Stores the samples from the start of the range on: before it, the resampling filter is still filling."""
        skipped = min(len(samples), max(0, wanted[0] - position))
        self.gather.place(position + skipped, samples[skipped:], of_gaps=self.of_gaps)
        return position + len(samples)
