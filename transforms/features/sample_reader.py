"""Reads the samples that a plan's patches need from a decoder: sequentially, or by seeking to each run of frames."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import soxr

from transforms.audio.channels import STRIDE, ChannelEnergy
from transforms.audio.containers.coded_pcm import LOOKED_AT, coded_frames
from transforms.audio.decoders.source import AudioSource, downmix
from transforms.audio.errors import TrackError
from transforms.audio.samples import Float32
from transforms.features.excerpt import ExcerptRecorder, longest, with_range
from transforms.features.patches import PatchPlan, Span
from transforms.features.spec import FeatureSpec

BLOCK_FRAMES = 1 << 16
"""Source frames decoded at a time."""

SMALL_BLOCK_FRAMES = 1 << 12
"""The same near possible damage: an error loses everything decoded before it in the same block."""

LAST_PACKET = 4096
"""Frames by which a claimed length may be wrong: encoders count their last, partly filled packet differently."""

_CODED_CHANNELS, _BEGINNING = 2, 256
"""Channels of samples that may be frames of a codec, and the frames in which most files begin to sound."""

_LEAST_PEAK, MOST_PEAK, _MOST_OFFSET = 1e-3, 4.0, 0.5
"""Levels beyond which a note is made: -60 and +12 dB of full scale, and half of full scale.

Of 750 real recordings, the peaks are from -34 to +5 dB (decoders exceed full scale), and the largest offset is 0.36.
"""

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Buffer:
    """The samples of one run of frames, from `start` on.

    Attributes:
      run: the frames that the samples are for.
      start: position of the first sample in the track; negative if the track begins within the first window.
      samples: float32 [samples], 0 where nothing was decoded.
      decoded: ranges [first, last) that were decoded or are outside the track; disjoint and ascending.
    """

    run: Span
    start: int
    samples: Float32
    decoded: list[tuple[int, int]]

    def mark(self, first: int, last: int) -> None:
        """Marks a range as decoded."""
        self.decoded[:] = with_range(self.decoded, first, last)

    def has(self, first: int, last: int) -> bool:
        """Whether the whole range is decoded."""
        return any(low <= first and last <= high for low, high in self.decoded)


class PatchSamples:
    """The samples of all runs of a plan, with zeros outside the track. Memory grows with the plan, not the track.

    Args:
      plan: the patches.
      length: samples of the track at the spec's rate.
      spec: the feature spec.
      excerpt: range of samples that is gathered, too, without any effect on the patches. What patches need of it is
        taken from their buffers; `gaps` are buffers for the rest.
    """

    def __init__(self, plan: PatchPlan, length: int, spec: FeatureSpec, excerpt: tuple[int, int] | None = None) -> None:
        self.plan, self.length, self._spec = plan, length, spec
        self.buffers = [self._buffer(run) for run in plan.runs(spec)]
        self.position = 0
        self._excerpt = excerpt
        self.gaps = [] if excerpt is None else [_gap(*one) for one in self._between(*excerpt)]

    def _between(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The parts of a range that no buffer of a patch has."""
        for buffer in self.buffers:
            if buffer.start > first:
                yield first, min(buffer.start, last)
            first = max(first, buffer.start + len(buffer.samples))
            if first >= last:
                return
        yield first, last

    def _buffer(self, run: Span) -> Buffer:
        start, count = run.first_sample(self._spec), run.sample_count(self._spec)
        buffer = Buffer(run=run, start=start, samples=np.zeros(count, np.float32), decoded=[])
        if start < 0:
            buffer.mark(start, 0)
        if start + count > self.length:
            buffer.mark(self.length, start + count)
        return buffer

    def add(self, samples: Float32) -> None:
        """Stores the next samples of the track."""
        self.place(self.position, samples)
        self.position += len(samples)

    def place(self, first: int, samples: Float32, *, of_gaps: bool = False) -> None:
        """Stores samples that begin at `first`; those that are read for gaps change no sample of a patch."""
        last = min(first + len(samples), self.length)
        for buffer in self.gaps if of_gaps else (*self.buffers, *self.gaps):
            low, high = max(first, buffer.start), min(last, buffer.start + len(buffer.samples))
            if low < high:
                buffer.samples[low - buffer.start : high - buffer.start] = samples[low - first : high - first]
                buffer.mark(low, high)

    def end_at(self, last: int) -> None:
        """Accepts zeros from `last` on, where the track is shorter than its claimed length."""
        for buffer in self.buffers:
            stop = buffer.start + len(buffer.samples)
            if last < stop:
                buffer.mark(max(last, buffer.start), stop)

    def missing(self) -> list[tuple[int, int]]:
        """The sample ranges, within the track, of runs that are not complete."""
        ranges = [(b, b.start, b.start + len(b.samples)) for b in self.buffers]
        return [(max(0, first), min(self.length, last)) for b, first, last in ranges if not b.has(first, last)]

    def missing_gaps(self) -> list[tuple[int, int]]:
        """The sample ranges of the excerpt that neither patches nor what was decoded so far have."""
        ranges = [(gap, gap.start, gap.start + len(gap.samples)) for gap in self.gaps]
        return [(first, last) for gap, first, last in ranges if not gap.has(first, last)]

    def excerpt(self) -> Float32:
        """The longest part of the excerpt that was decoded without a gap, float32 [n]."""
        if self._excerpt is None:
            return np.empty(0, np.float32)
        first, last = self._excerpt
        found, ranges = np.empty(last - first, np.float32), list[tuple[int, int]]()
        for buffer in (*self.buffers, *self.gaps):
            for low, high in buffer.decoded:
                low, high = max(low, first), min(high, last, buffer.start + len(buffer.samples))
                if low < high:
                    found[low - first : high - first] = buffer.samples[low - buffer.start : high - buffer.start]
                    ranges = with_range(ranges, low, high)
        low, high = longest(ranges)
        return found[low - first : high - first]

    def sounding(self) -> list[Float32]:
        """What each run of patches has of the track, float32 [n] each, without the zeros outside of it."""
        return [buffer.samples[max(0, -buffer.start) : max(0, self.length - buffer.start)] for buffer in self.buffers]

    def covers_ends(self) -> bool:
        """Whether the patches begin with the track and end with it, and are complete there."""
        first, last = self.buffers[0], self.buffers[-1]
        return first.start <= 0 and last.start + len(last.samples) >= self.length and not self.missing()

    def lacks_end(self) -> bool:
        """Whether the last run is incomplete at its end: the file ends before the track does."""
        last = self.buffers[-1]
        return not last.has(self.length - 1, last.start + len(last.samples))

    def decoded_to(self) -> int:
        """End of the last range that was decoded; ranges outside the track do not count."""
        ends = [high for buffer in self.buffers for _, high in buffer.decoded if 0 < high <= self.length]
        return max(ends, default=0)

    def good_patches(self) -> list[int]:
        """Indices of the patches whose samples are all decoded."""
        frames = min(self._spec.patch_frames, self.plan.frames)
        patches = [Span(first=start, last=start + frames) for start in self.plan.starts]
        return [i for i, patch in enumerate(patches) if self._is_complete(patch)]

    def _is_complete(self, patch: Span) -> bool:
        first = patch.first_sample(self._spec)
        last = first + patch.sample_count(self._spec)
        return any(buffer.has(first, last) for buffer in self.buffers)

    def odd_level(self, peak: float) -> str | None:
        """What no recording has: a `peak` far over or under full scale, or a large constant offset; else None."""
        if peak > MOST_PEAK:
            return "the peak is more than 12 dB over full scale"
        if peak < _LEAST_PEAK:
            return "the peak is more than 60 dB under full scale"
        some = [buffer.samples[::STRIDE] for buffer in self.buffers]
        offset = float(sum(np.add.reduce(samples) for samples in some)) / sum(len(samples) for samples in some)
        return "there is a constant offset of more than half of full scale" if abs(offset) > _MOST_OFFSET else None

    def peak(self) -> float:
        """Highest absolute sample."""
        return max(max(float(buffer.samples.max()), -float(buffer.samples.min())) for buffer in self.buffers)


def _gap(first: int, last: int) -> Buffer:
    return Buffer(run=Span(first=0, last=0), start=first, samples=np.zeros(last - first, np.float32), decoded=[])


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
