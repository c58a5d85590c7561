"""True peak of ITU-R BS.1770-4, annex 2: the highest value of the signal between its samples."""

import functools
import math

import numpy as np
import numpy.typing as npt

PHASES = 8
"""Oversampling; the standard asks for at least 4. The highest frequency is then read at most 0.17 dB too low."""
REACH = 16
"""Samples on each side of an interpolated point."""
NEAR_PEAK = 0.5
"""Only points next to a sample of at least this share of the highest sample are interpolated."""
NEAR_PEAK_AT_MAXIMA = 0.6
"""The same where only points next to local maxima are."""
AT_ONCE = 4_096
LEAST_PEAK = 1e-6


class PeakMeter:
    """Finds the highest interpolated value of a recording that is added piece by piece.

    Before its start and after its end a recording continues as its mirror image. Silence there would be a step where a
    recording was cut, and a step has a peak beside it that is no part of the recording.
    """

    def __init__(self, channels: int) -> None:
        """Starts a recording."""
        self._tail = np.zeros((0, channels), np.float32)
        self._peak = 0.0

    def add(self, samples: npt.NDArray[np.float32]) -> None:
        """Adds finite samples, float32 [n, channels]. The first piece has `2 REACH` samples or is the only one."""
        if not len(samples):
            return
        self._peak = max(self._peak, float(samples.max()), -float(samples.min()))
        before = self._tail if len(self._tail) else _mirrored(samples, before=2 * REACH)
        known = np.concatenate([before, samples])
        self._peak = interpolated_peak(np.ascontiguousarray(known.T), self._peak)
        self._tail = known[-2 * REACH :]

    def result(self) -> float | None:
        """The peak in dBTP, or None for silence."""
        if not len(self._tail):
            return None
        known = np.concatenate([self._tail, _mirrored(self._tail, after=REACH)])
        return to_dbtp(interpolated_peak(np.ascontiguousarray(known.T), self._peak))


def _mirrored(samples: npt.NDArray[np.float32], before: int = 0, after: int = 0) -> npt.NDArray[np.float32]:
    """What comes before samples [n, channels], or after them."""
    extended = np.pad(samples, ((before, after), (0, 0)), mode="symmetric")
    return extended[:before] if before else extended[len(samples) :]


def interpolated_peak(rows: npt.NDArray[np.float32], peak: float, *, at_maxima: bool = False) -> float:
    """The highest absolute value between samples, or `peak` if that is more.

    Args:
      rows: finite samples, float32 [channels, n]; looked at are points from sample REACH - 1 to sample n - REACH.
      peak: the highest value known so far: only points near it are interpolated.
      at_maxima: whether only points next to samples are interpolated that are as high as both of their neighbours.
    """
    heights = np.abs(rows[:, REACH - 1 : rows.shape[1] - REACH + 1])
    share = NEAR_PEAK_AT_MAXIMA if at_maxima else NEAR_PEAK
    channel, place = _points(heights, max(share * peak, LEAST_PEAK), at_maxima=at_maxima)
    windows = np.lib.stride_tricks.sliding_window_view(rows, 2 * REACH, axis=1)
    for first in range(0, len(place), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        values = windows[channel[some], place[some]] @ _interpolator()
        peak = max(peak, float(values.max()), -float(values.min()))
    return peak


def _points(
    heights: npt.NDArray[np.float32], least: float, *, at_maxima: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Channels and places of the gaps between two samples, one of which is high: gap i is after sample i."""
    size, flat = heights.shape[1], heights.ravel()
    high = np.flatnonzero(flat >= least)
    at = high % size
    if at_maxima:
        before, after = flat[np.maximum(high - 1, 0)], flat[np.minimum(high + 1, len(flat) - 1)]
        highest = ((at == 0) | (flat[high] >= before)) & ((at == size - 1) | (flat[high] >= after))
        high, at = high[highest], at[highest]
    is_new = np.diff(high, prepend=-1) > 1  # else the gap before it is the one after the sample before
    gaps = np.concatenate([high[at < size - 1], high[is_new & (at > 0)] - 1])
    return gaps // size, gaps % size


def to_dbtp(peak: float) -> float | None:
    """A peak in dBTP, or None for silence."""
    return round(20 * math.log10(peak), 2) if peak > LEAST_PEAK else None


@functools.cache
def _interpolator() -> npt.NDArray[np.float32]:
    """Kaiser-windowed sinc for the points between two samples, float32 [2 REACH, PHASES - 1]."""
    steps = np.arange(1, PHASES) / PHASES
    offsets = np.arange(-REACH + 1, REACH + 1)[:, None] - steps[None, :]
    window = np.i0(9.0 * np.sqrt(np.maximum(0, 1 - (offsets / REACH) ** 2))) / np.i0(9.0)
    taps = np.sinc(offsets) * window
    return np.asarray(taps / taps.sum(axis=0), np.float32)
