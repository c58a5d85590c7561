"""The samples that a plan's patches need, gathered from a stream at the spec's rate."""

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


class Gather:
    """Samples of the runs of a plan: memory is that of the plan, not of the track."""

    def __init__(self, plan: PatchPlan, spec: FeatureSpec) -> None:
        self._runs = [
            (run, run.first_sample(spec), np.zeros(run.sample_count(spec), np.float32)) for run in plan.runs(spec)
        ]
        self.position = 0

    def add(self, samples: Float32) -> None:
        """Take the next samples of the track."""
        first, last = self.position, self.position + len(samples)
        for _, start, buffer in self._runs:
            low, high = max(first, start), min(last, start + len(buffer))
            if low < high:
                buffer[low - start : high - start] = samples[low - first : high - first]
        self.position = last

    def runs(self) -> list[tuple[Run, Float32]]:
        """Each run with the samples under it; zeros where the track has none."""
        return [(run, buffer) for run, _, buffer in self._runs]


def stream_all(source: Source, gather: Gather, spec: FeatureSpec) -> tuple[int, int, TrackError | None]:
    """Decode from here to the end into `gather`.

    Returns: source frames decoded, non-finite samples set to 0, and the error that ended it early.
    """
    resampler = Resampler(source.rate_hz, spec.sample_rate)
    frames = bad = 0
    failure: TrackError | None = None
    while True:
        try:
            block = source.read(BLOCK_FRAMES)
        except TrackError as error:
            failure = error
            break
        if not len(block):
            break
        frames += len(block)
        mono, bad_here = finite(downmix(block))
        bad += bad_here
        gather.add(resampler.push(mono))
    gather.add(resampler.push(np.empty(0, np.float32), last=True))
    return frames, bad, failure


def finite(mono: Float32) -> tuple[Float32, int]:
    """The samples with NaN and infinity set to 0, and how many those were."""
    if np.isfinite(np.dot(mono, mono)):
        return mono, 0
    good = np.isfinite(mono) & (np.abs(mono) < 1e9)
    return np.where(good, mono, np.float32(0)), int(len(mono) - np.count_nonzero(good))
