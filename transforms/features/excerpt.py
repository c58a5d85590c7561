"""One contiguous excerpt around the middle of a track: where it is, and its sound in all channels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from transforms.audio.limits import MIB
from transforms.audio.samples import Float32
from transforms.features.parameters.k_weighting import LOWEST_RATE_HZ
from transforms.features.parameters.spec import ParametersSpec

if TYPE_CHECKING:
    from transforms.features.parameters.loudness import Loudness, LoudnessMeter

_MOST_BYTES = 64 * MIB
"""Most memory for the channels of an excerpt: 60 s of 48 kHz and five channels. A larger excerpt is shortened."""

LONGEST_FULL_S = 7200.0
"""Longest track of which loudness is measured on the whole file; of a longer one, on the excerpt."""


def middle_range(length: int, wanted: int) -> tuple[int, int]:
    """The range [first, last) of `wanted` samples around the middle of `length`; all if there are fewer."""
    taken = min(length, wanted)
    first = (length - taken) // 2
    return first, first + taken


def with_range(ranges: Sequence[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """Disjoint ascending ranges [first, last) and one more."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted([*ranges, (first, last)]):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


def longest(ranges: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The longest range, of equal ones the first; an empty one without any."""
    return max(ranges, key=lambda one: one[1] - one[0], default=(0, 0))


class ExcerptRecorder:
    """Keeps the channels of the excerpt while a track is decoded, and measures loudness if the whole file passes by.

    Args:
      frames: length of the track in source frames.
      rate_hz: rate of the source.
      channels: channels of the source.
      spec: what is measured.
    """

    def __init__(self, frames: int, rate_hz: int, channels: int, spec: ParametersSpec) -> None:
        wanted = min(round(spec.excerpt_s * rate_hz), _MOST_BYTES // (4 * channels))
        self.rate_hz, self._frames = rate_hz, frames
        self._first, last = middle_range(frames, wanted)
        self._samples = np.empty((last - self._first, channels), np.float32)
        self._heard: list[tuple[int, int]] = []
        self._next = 0
        is_whole = spec.loudness == "full" and frames <= LONGEST_FULL_S * rate_hz and rate_hz >= LOWEST_RATE_HZ
        self._meter = _meter(rate_hz, channels) if is_whole else None

    def hear(self, first: int, channels: Sequence[Float32] | Float32) -> None:
        """Takes the samples of each channel from source frame `first` on, which is negative before the track.

        Samples of another number of channels than that of the source are passed over.
        """
        if len(channels) != self._samples.shape[1]:
            return
        if first < 0:
            first, channels = 0, [channel[-first:] for channel in channels]
        count = min(len(channels[0]), self._frames - first)
        if self._meter is not None and first <= self._next < first + count:
            self._meter.add(np.stack([channel[self._next - first : count] for channel in channels], axis=1))
            self._next = first + count
        low, high = max(first, self._first), min(first + count, self._first + len(self._samples))
        if low < high:
            part = self._samples[low - self._first : high - self._first]
            if isinstance(channels, np.ndarray):  # The transpose of a decoded block: copied in a piece.
                part[:] = channels[:, low - first : high - first].T
            else:
                np.stack([channel[low - first : high - first] for channel in channels], axis=1, out=part)
            self._heard = with_range(self._heard, low, high)

    def excerpt(self) -> Float32:
        """The longest part of the excerpt that was decoded without a gap, float32 [n, channels]."""
        low, high = longest(self._heard)
        return self._samples[low - self._first : high - self._first]

    @property
    def lacks_whole(self) -> bool:
        """Whether the loudness of the whole file is wanted, and not all of it has passed by."""
        return self._meter is not None and self._next < self._frames

    @property
    def last_frame(self) -> int | None:
        """The source frame up to which a sequential reading has to go; None: to the end of the file."""
        return self._first + len(self._samples) if self._meter is None else None

    def whole(self) -> "Loudness | None":
        """Loudness of what has passed by from the start of the file on; None if it is not wanted. Call once."""
        return None if self._meter is None or not self._next else self._meter.result()


def _meter(rate_hz: int, channels: int) -> "LoudnessMeter":
    from transforms.features.parameters.loudness import LoudnessMeter  # loads SciPy, as in `extract`

    return LoudnessMeter(rate_hz, channels)
