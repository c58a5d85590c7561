"""Loudness of an excerpt at a fifteenth of the exact meter's cost, within a tolerance that is stated."""

import dataclasses
import functools

import numpy as np
import numpy.typing as npt
from scipy import fft

from transforms.features.parameters import k_weighting
from transforms.features.parameters.cleaning import finite
from transforms.features.parameters.levels import ChannelLevels, channel_levels
from transforms.features.parameters.loudness import Loudness, integrated_lufs, range_lu
from transforms.features.parameters.true_peak import REACH, interpolated_peak, to_dbtp
from transforms.features.windows import hann

TOLERANCE_LU = 0.25
"""The estimate differs from the exact meter by less on 69 of 70 pieces of music; see docs/quality.md."""
_FRAMES_AT_ONCE = 100
"""Frames transformed at a time, so that they stay in the processor's cache."""
PEAK_HOPS = 8
"""Hops with the highest samples, in which values between samples are looked at."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExcerptLoudness:
    """Loudness of an excerpt, and the mean frequency of its power spectrum in Hz (None for silence)."""

    loudness: Loudness
    brightness_hz: float | None


def estimate_loudness(
    samples: npt.NDArray[np.float32], rate_hz: int, levels: ChannelLevels | None = None
) -> ExcerptLoudness:
    """Loudness of samples [n, channels] with one or two channels.

    The power of each hop of 0.1 s is exact. It is multiplied by the shelf's gain in one short spectrum of the hop, and
    reduced by what the high-pass removes, which is measured at a rate of about 0.75 kHz. Both channels are transformed
    as the real and the imaginary part of one signal: their powers add up.

    Args:
      samples: float32, full scale 1.0; values that are not finite count as 0.
      rate_hz: their rate.
      levels: their `channel_levels` if they are known.

    Raises:
      ValueError: more than two channels (use the exact meter), or a rate below 4,000 Hz.
    """
    if rate_hz < k_weighting.LOWEST_RATE_HZ or not 1 <= samples.shape[1] <= 2:
        raise ValueError(f"rate_hz={rate_hz}, channels={samples.shape[1]}: at least 4000 Hz, one or two channels")
    levels = channel_levels(samples, rate_hz) if levels is None else levels
    peak = _peak(samples, levels.highest, levels.hop)
    if not (hops := len(levels.frames)):
        return ExcerptLoudness(loudness=Loudness(true_peak_dbtp=peak), brightness_hz=None)
    power = levels.squares[:hops] / levels.hop
    gain, brightness = _shelf_gain(levels.frames, rate_hz)
    energies = np.maximum(power * gain - _removed_power(levels.low, rate_hz), 1e-4 * power)
    loudness = Loudness(
        loudness_lufs=integrated_lufs(energies),
        loudness_range_lu=range_lu(energies),
        true_peak_dbtp=peak,
    )
    return ExcerptLoudness(loudness=loudness, brightness_hz=brightness)


def _shelf_gain(frames: npt.NDArray[np.complex64], rate_hz: int) -> tuple[npt.NDArray[np.float64], float | None]:
    """Power gain of the shelf in windowed frames, one a hop: float64 [hops], and the mean frequency."""
    gain, frequency = _frame_tables(rate_hz, frames.shape[1])
    sums = np.empty((3, len(frames)), np.float32)
    for first in range(0, len(frames), _FRAMES_AT_ONCE):
        parts = fft.fft(frames[first : first + _FRAMES_AT_ONCE]).view(np.float32)
        totals, gains, frequencies = sums[:, first : first + _FRAMES_AT_ONCE]
        np.vecdot(parts, parts, out=totals)
        np.multiply(parts, parts, out=parts)
        np.matmul(parts, gain, out=gains)
        np.matmul(parts, frequency, out=frequencies)
    totals, gains, frequencies = sums.astype(np.float64)
    total = totals.sum()
    brightness = round(float(frequencies.sum() / total), 1) if total > 1e-9 else None
    return np.where(totals > 1e-20, gains / np.maximum(totals, 1e-20), 1.0), brightness


@functools.cache
def _frame_tables(rate_hz: int, size: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Shelf gain and frequency of each real number of a transform, float32 [2 size] each."""
    cycles = np.fft.fftfreq(size)
    gain = np.abs(k_weighting.stage_response(k_weighting.biquads(rate_hz)[0], cycles)) ** 2 * _passed_gain(rate_hz)
    frequency = np.abs(cycles) * rate_hz
    return np.repeat(gain, 2).astype(np.float32), np.repeat(frequency, 2).astype(np.float32)


def _removed_power(low: npt.NDArray[np.complex64], rate_hz: int) -> npt.NDArray[np.float64]:
    """Power that the high-pass removes from each hop of a slow signal, float64 [hops].

    The share that it removes comes from the spectrum of a frame of two hops with the hop in its middle.
    """
    hops, size = low.shape
    signal = np.zeros((hops + 1) * size, np.complex64)
    signal[size // 2 : size // 2 + low.size] = low.ravel()
    halves, frames = signal.reshape(-1, size), np.empty((hops, 2 * size), np.complex64)
    np.multiply(halves[:-1], hann(2 * size)[:size], out=frames[:, :size])
    np.multiply(halves[1:], hann(2 * size)[size:], out=frames[:, size:])
    parts = fft.fft(frames, overwrite_x=True).view(np.float32)
    totals = np.vecdot(parts, parts)
    np.multiply(parts, parts, out=parts)
    removed = (parts @ _removed_gain(rate_hz, size)) / np.maximum(totals, 1e-20)
    slow = low.view(np.float32)
    return np.asarray(removed * np.vecdot(slow, slow) / size, np.float64)


@functools.cache
def _passed_gain(rate_hz: int) -> float:
    """Power gain of the high-pass far above its edge: a little over 1, and more at low rates."""
    return float(np.abs(k_weighting.stage_response(k_weighting.biquads(rate_hz)[1], np.array([0.25]))[0]) ** 2)


@functools.lru_cache(maxsize=4)
def _removed_gain(rate_hz: int, size: int) -> npt.NDArray[np.float32]:
    """What the high-pass removes of each real number of a spectrum of two hops of `size` values: float32 [4 size]."""
    cycles = np.fft.fftfreq(2 * size) * size / (rate_hz // 10)
    passed = np.abs(k_weighting.stage_response(k_weighting.biquads(rate_hz)[1], cycles)) ** 2
    return np.repeat(_passed_gain(rate_hz) - passed, 2).astype(np.float32)


def _peak(samples: npt.NDArray[np.float32], highest: npt.NDArray[np.float32], hop: int) -> float | None:
    """True peak in dBTP of the hops with the highest samples, next to their local maxima. The last hop may be short."""
    peak, size = float(highest.max(initial=0.0)), min(hop + 2 * REACH, len(samples))
    if size > 2 * REACH:
        places = np.argsort(-highest, kind="stable")[:PEAK_HOPS]
        starts = np.clip(places * hop - REACH, 0, len(samples) - size).tolist()
        rows = np.empty((len(starts), samples.shape[1], size), np.float32)
        for row, start in zip(rows, starts, strict=True):
            row[:] = samples[start : start + size].T
        peak = interpolated_peak(finite(rows.reshape(-1, size)), peak, at_maxima=True)
    return to_dbtp(peak)
