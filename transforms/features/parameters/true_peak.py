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
AT_ONCE = 4_096
LEAST_PEAK = 1e-6


class PeakMeter:
    """Finds the highest interpolated value of a recording that is added piece by piece."""

    def __init__(self, channels: int) -> None:
        """Starts a recording."""
        self._tail = np.zeros((2 * REACH, channels), np.float32)
        self._peak = 0.0

    def add(self, samples: npt.NDArray[np.float32]) -> None:
        """Adds finite samples, float32 [n, channels]."""
        if not len(samples):
            return
        self._peak = max(self._peak, float(samples.max()), -float(samples.min()))
        known = np.concatenate([self._tail, samples])
        self._peak = interpolated_peak(known, self._peak)
        self._tail = known[-2 * REACH :]

    def result(self) -> float | None:
        """The peak in dBTP, or None for silence."""
        rest = np.concatenate([self._tail, np.zeros_like(self._tail[:REACH])])
        return to_dbtp(interpolated_peak(rest, self._peak))


def interpolated_peak(known: npt.NDArray[np.float32], peak: float) -> float:
    """The highest absolute value between samples, or `peak` if that is more.

    Args:
      known: finite samples, float32 [n, channels]; looked at are points from sample REACH - 1 to sample n - REACH.
      peak: the highest value known so far: only points near it are interpolated.
    """
    for channel in range(known.shape[1]):
        column = np.ascontiguousarray(known[:, channel])
        near = np.abs(column[REACH - 1 : len(column) - REACH + 1]) >= max(NEAR_PEAK * peak, LEAST_PEAK)
        places = np.flatnonzero(near[:-1] | near[1:])
        windows = np.lib.stride_tricks.sliding_window_view(column, 2 * REACH)
        for first in range(0, len(places), AT_ONCE):
            values = windows[places[first : first + AT_ONCE]] @ _interpolator()
            peak = max(peak, float(values.max()), -float(values.min()))
    return peak


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
