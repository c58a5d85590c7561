"""The samples that patches and the excerpt of a track need, as far as they were decoded."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from transforms.audio.channels import STRIDE
from transforms.audio.samples import Float32
from transforms.features.excerpt import longest, with_range
from transforms.features.patches import PatchPlan, Span
from transforms.features.spec import FeatureSpec

_LEAST_PEAK, MOST_PEAK, _MOST_OFFSET = 1e-3, 4.0, 0.5
"""Levels beyond which a note is made: -60 and +12 dB of full scale, and half of full scale.

Of 750 real recordings, the peaks are from -34 to +5 dB (decoders exceed full scale), and the largest offset is 0.36.
"""


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
        for buffer in self.buffers:
            if buffer.has(first, last):
                return buffer.samples[first - buffer.start : last - buffer.start]
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
