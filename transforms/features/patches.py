"""The positions of a track's patches, and the samples they need."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from transforms.features.logmel import frame_count
from transforms.features.spec import FeatureSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """Frames [first, last) that one patch or several overlapping patches need, and the samples under them."""

    first: int
    last: int

    def first_sample(self, spec: FeatureSpec) -> int:
        """First sample under the first frame's window; negative at the track's start, which is padded with zeros."""
        return self.first * spec.hop_length - spec.n_fft // 2

    def sample_count(self, spec: FeatureSpec) -> int:
        """Number of samples under the windows of all frames."""
        return (self.last - 1 - self.first) * spec.hop_length + spec.n_fft


@dataclasses.dataclass(frozen=True, kw_only=True)
class PatchPlan:
    """The planned patches of one track.

    Attributes:
      frames: number of frames of the whole track.
      starts: first frame of each patch, ascending.
    """

    frames: int
    starts: tuple[int, ...]

    def runs(self, spec: FeatureSpec) -> list[Span]:
        """The frames that the patches need. Overlapping patches share one span."""
        length = min(spec.patch_frames, self.frames)
        runs: list[Span] = []
        for start in self.starts:
            if runs and start <= runs[-1].last:
                runs[-1] = Span(first=runs[-1].first, last=start + length)
            else:
                runs.append(Span(first=start, last=start + length))
        return runs

    def starts_s(self, spec: FeatureSpec) -> npt.NDArray[np.float32]:
        """Start of each patch in seconds, float32 [patches]."""
        return np.asarray(self.starts, np.float32) * np.float32(spec.hop_length / spec.sample_rate)


def plan_patches(samples: int, spec: FeatureSpec) -> PatchPlan:
    """Plans patches that are spread evenly over a track of `samples` samples at the spec's rate.

    The first starts at frame 0 and the last ends with the track's last frame. A single patch is in the middle.
    """
    frames = frame_count(samples, spec)
    count = min(spec.patches_per_track, max(1, math.ceil(frames / spec.patch_frames)))
    room = max(0, frames - spec.patch_frames)
    starts = tuple(round(i * room / (count - 1)) for i in range(count)) if count > 1 else (room // 2,)
    return PatchPlan(frames=frames, starts=starts)
