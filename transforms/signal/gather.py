"""The samples that a plan's patches need, gathered from a decoder: straight on, or by seeking to each run."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import soxr

from transforms.signal.decode import Source, downmix
from transforms.signal.errors import TrackError
from transforms.signal.patches import PatchPlan, Run
from transforms.signal.spec import FeatureSpec

Float32 = npt.NDArray[np.float32]

BLOCK_FRAMES = 1 << 16
"""Source frames decoded at a time."""

SMALL_BLOCK_FRAMES = 1 << 12
"""The same where a damaged place may be near: what is decoded before it within a block is lost with it."""

LAST_PACKET = 4096
"""Source frames by which a claimed length may miss: encoders count their last, partly filled packet differently."""

MARGIN_S = 0.1
"""Audio decoded before and after a sought run: longer than the resampling filter."""


class Resampler:
    """Mono blocks to the spec's rate, with bounded memory and the same samples as in one piece."""

    def __init__(self, source_hz: int, target_hz: int) -> None:
        self._stream = soxr.ResampleStream(source_hz, target_hz, 1, dtype="float32") if source_hz != target_hz else None

    def push(self, block: Float32, *, last: bool = False) -> Float32:
        """Resampled audio that is ready after this block, float32 [samples]."""
        if self._stream is None:
            return block
        out: Float32 = self._stream.resample_chunk(block, last=last)
        return out


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Buffer:
    """Samples from `start` on, and which of them were decoded."""

    run: Run
    start: int
    samples: Float32
    have: npt.NDArray[np.bool_]


class Gather:
    """Samples of the runs of a plan, zeros beyond the track's ends: memory is that of the plan, not of the track."""

    def __init__(self, plan: PatchPlan, length: int, spec: FeatureSpec) -> None:
        self._plan, self.length, self._spec = plan, length, spec
        self.buffers = [self._buffer(run) for run in plan.runs(spec)]
        self.position = 0

    def _buffer(self, run: Run) -> _Buffer:
        start, count = run.first_sample(self._spec), run.sample_count(self._spec)
        have = np.zeros(count, np.bool_)
        have[: max(0, -start)] = True
        have[max(0, self.length - start) :] = True
        return _Buffer(run=run, start=start, samples=np.zeros(count, np.float32), have=have)

    def add(self, samples: Float32) -> None:
        """Take the next samples of the track."""
        self.place(self.position, samples)
        self.position += len(samples)

    def place(self, first: int, samples: Float32) -> None:
        """Take samples that begin at `first`."""
        last = min(first + len(samples), self.length)
        for buffer in self.buffers:
            low, high = max(first, buffer.start), min(last, buffer.start + len(buffer.samples))
            if low < high:
                at = slice(low - buffer.start, high - buffer.start)
                buffer.samples[at] = samples[low - first : high - first]
                buffer.have[at] = True

    def end_at(self, last: int) -> None:
        """Take zeros for what a track lacks of its claimed length."""
        for buffer in self.buffers:
            buffer.have[max(0, last - buffer.start) :] = True

    def missing(self) -> list[tuple[int, int]]:
        """Sample ranges of the runs that are not complete, within the track."""
        return [(max(0, b.start), min(self.length, b.start + len(b.samples))) for b in self.buffers if not b.have.all()]

    def good_patches(self) -> list[int]:
        """Patches whose samples have all been decoded."""
        frames = min(self._spec.patch_frames, self._plan.frames)
        return [
            i for i, start in enumerate(self._plan.starts) if self._is_complete(Run(first=start, last=start + frames))
        ]

    def _is_complete(self, patch: Run) -> bool:
        start = patch.first_sample(self._spec)
        for buffer in self.buffers:
            if buffer.run.first <= patch.first < buffer.run.last:
                at = start - buffer.start
                return bool(buffer.have[at : at + patch.sample_count(self._spec)].all())
        return False

    def peak(self) -> float:
        """Highest absolute sample."""
        return max(float(np.abs(buffer.samples).max()) for buffer in self.buffers)


@dataclasses.dataclass(kw_only=True)
class Tally:
    """What decoding came to: source frames, non-finite samples set to 0, and the error that ended it early."""

    frames: int = 0
    bad: int = 0
    failure: TrackError | None = None

    def mono(self, block: Float32) -> Float32:
        """A decoded block's downmix, counted and made finite."""
        self.frames += len(block)
        mono = downmix(block)
        if np.isfinite(np.dot(mono, mono)):
            return mono
        good = np.abs(mono) < 1e9  # false for NaN, too
        self.bad += int(len(mono) - np.count_nonzero(good))
        return np.where(good, mono, np.float32(0))


def read_straight(source: Source, gather: Gather, frames: int, spec: FeatureSpec) -> Tally:
    """Decode from here on, at most so many source frames."""
    resampler, tally = Resampler(source.rate_hz, spec.sample_rate), Tally()
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


def read_run(source: Source, gather: Gather, wanted: tuple[int, int], tally: Tally, spec: FeatureSpec) -> None:
    """Seek to a range of samples at the spec's rate and decode it. Raises TrackError where that fails."""
    common = math.gcd(source.rate_hz, spec.sample_rate)
    down, up = source.rate_hz // common, spec.sample_rate // common
    margin = round(MARGIN_S * spec.sample_rate)
    step = max(0, (wanted[0] - margin) // up)  # both rates have a sample at this place
    left = math.ceil((wanted[1] + margin) * source.rate_hz / spec.sample_rate) - step * down
    resampler, position = Resampler(source.rate_hz, spec.sample_rate), step * up
    source.seek(step * down)
    while left > 0 and len(block := source.read(min(SMALL_BLOCK_FRAMES, left))):
        left -= len(block)
        position = _place_wanted(gather, resampler.push(tally.mono(block)), position, wanted)
    position = _place_wanted(gather, resampler.push(np.empty(0, np.float32), last=True), position, wanted)
    if wanted[1] - LAST_PACKET * spec.sample_rate // source.rate_hz <= position < wanted[1] == gather.length:
        gather.end_at(position)


def _place_wanted(gather: Gather, samples: Float32, position: int, wanted: tuple[int, int]) -> int:
    """Place what lies in the range: before it the resampling filter is still filling."""
    skipped = min(len(samples), max(0, wanted[0] - position))
    gather.place(position + skipped, samples[skipped:])
    return position + len(samples)
