"""Loudness by ITU-R BS.1770-4, EBU Tech 3341 and EBU Tech 3342: the exact meter for whole files."""

import dataclasses
import functools
import math

import numpy as np
import numpy.typing as npt
from scipy import fft

from transforms.features.parameters import k_weighting
from transforms.features.parameters.cleaning import finite
from transforms.features.parameters.true_peak import PeakMeter
from transforms.features.quantile import quantile

ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU, RANGE_GATE_LU = -70.0, -10.0, -20.0
GATE_STEPS = 100
"""Steps of a LU in which a level is compared with a gate: both are rounded down to hundredths, as in meters that keep a
histogram of levels (ffmpeg's). A block that lies less than a hundredth under a gate may then count."""
BLOCK_HOPS, SHORT_TERM_HOPS = 4, 30
"""Hops of 0.1 s in a gating block (0.4 s, 75 % overlap) and in a short-term window (3 s)."""
TRANSFORM_HOPS, TRANSFORMS = 3, 4
"""Hops that one transform filters, 0.3 s after 0.1 s of history, and transforms at a time: four take little longer than
one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loudness:
    """Loudness of a recording. None: nothing can be said.

    Attributes:
      loudness_lufs: integrated loudness, LUFS, -70 to about +5; None below the absolute gate or under 0.4 s.
      loudness_range_lu: loudness range, LU, 0 and more; None under 3 s or where no short-term window passes its gate.
      true_peak_dbtp: highest absolute value of the signal between and at samples, dB of full scale; None for silence.
    """

    loudness_lufs: float | None = None
    loudness_range_lu: float | None = None
    true_peak_dbtp: float | None = None


class LoudnessMeter:
    """Measures a recording piece by piece; the result does not depend on how it is cut. Memory: about 1 s of samples.

    Filtering is by overlap and save: each transform holds one hop of history, and the impulse response is one hop
    long. Two channels are filtered by one complex transform.
    """

    def __init__(self, rate_hz: int, channels: int) -> None:
        """Starts a recording.

        Raises:
          ValueError: the rate is below 4,000 Hz, or there is no channel.
        """
        if rate_hz < k_weighting.LOWEST_RATE_HZ or channels < 1:
            raise ValueError(f"rate_hz={rate_hz}, channels={channels}: at least 4000 Hz and one channel are needed")
        self._hop = rate_hz // 10
        self._block = TRANSFORMS * TRANSFORM_HOPS * self._hop
        self._rate = rate_hz
        self._weights = k_weighting.channel_weights(channels)
        self._gain = _transformed_response(rate_hz, (TRANSFORM_HOPS + 1) * self._hop)
        self._pending = np.zeros((self._hop, channels), np.float32)
        self._energies: list[npt.NDArray[np.float64]] = []
        self._peaks = PeakMeter(channels)

    def add(self, samples: npt.NDArray[np.float32]) -> None:
        """Adds samples [n, channels] of float32, full scale 1.0; values that are not finite count as 0."""
        self._pending = np.concatenate([self._pending, finite(samples)])
        while len(self._pending) >= self._hop + self._block:
            block = self._pending[: self._hop + self._block]
            self._energies.append(self._filtered_energies(block))
            self._peaks.add(block[self._hop :])
            self._pending = self._pending[self._block :]

    def result(self) -> Loudness:
        """The loudness of what was added. Call once, after the last samples."""
        rest = self._pending[self._hop :]
        padded = np.zeros((self._hop + self._block, self._pending.shape[1]), np.float32)
        padded[: len(self._pending)] = self._pending
        self._energies.append(self._filtered_energies(padded)[: len(rest) // self._hop])
        self._peaks.add(rest)
        energies = np.concatenate(self._energies)
        return Loudness(
            loudness_lufs=integrated_lufs(energies),
            loudness_range_lu=range_lu(energies),
            true_peak_dbtp=self._peaks.result(),
        )

    def _filtered_energies(self, block: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Weighted mean squares of the hops after the first, float64 [TRANSFORMS * TRANSFORM_HOPS]."""
        total = np.zeros((TRANSFORMS, TRANSFORM_HOPS))
        for first in range(0, block.shape[1], 2):
            pair = np.ascontiguousarray(block[:, first : first + 2])
            signal = pair.view(np.complex64 if pair.shape[1] == 2 else np.float32)[:, 0]
            hops = self._filtered(signal).reshape(TRANSFORMS, TRANSFORM_HOPS, self._hop)
            for channel, weight in zip((hops.real, hops.imag), self._weights[first : first + 2], strict=False):
                total += weight / self._hop * np.vecdot(channel, channel)
        return total.ravel()

    def _filtered(self, signal: npt.NDArray[np.inexact]) -> npt.NDArray[np.inexact]:
        """The K-weighted signal without its first hop: one channel, or two as a complex number."""
        size = len(self._gain)
        frames = np.lib.stride_tricks.sliding_window_view(signal, size)[:: TRANSFORM_HOPS * self._hop]
        if np.iscomplexobj(signal):
            spectra = fft.fft(frames)
            spectra *= self._gain
            filtered = fft.ifft(spectra, overwrite_x=True)
        else:
            filtered = fft.irfft(fft.rfft(frames) * self._gain[: size // 2 + 1], size)
        return np.ascontiguousarray(filtered[:, self._hop :])


def measure_loudness(samples: npt.NDArray[np.float32], rate_hz: int) -> Loudness:
    """The loudness of samples [n, channels], exactly; see `LoudnessMeter`."""
    meter = LoudnessMeter(rate_hz, samples.shape[1])
    meter.add(samples)
    return meter.result()


def integrated_lufs(energies: npt.NDArray[np.float64]) -> float | None:
    """Integrated loudness of K-weighted mean squares per hop of 0.1 s; None where no block passes the gates."""
    blocks = _moving_mean(energies, BLOCK_HOPS)
    levels = _lufs(blocks)
    loud = levels >= ABSOLUTE_GATE_LUFS
    if not loud.any():
        return None
    gate = max(ABSOLUTE_GATE_LUFS, float(_lufs(np.mean(blocks[loud]))) + RELATIVE_GATE_LU)
    return round(float(_lufs(np.mean(blocks[_passes(levels, gate)]))), 2)


def range_lu(energies: npt.NDArray[np.float64]) -> float | None:
    """Loudness range: from the 10 % to the 95 % quantile of gated short-term loudness; None where no window passes."""
    windows = _moving_mean(energies, SHORT_TERM_HOPS)
    levels = _lufs(windows)
    loud = levels >= ABSOLUTE_GATE_LUFS
    if not loud.any():
        return None
    gate = max(ABSOLUTE_GATE_LUFS, float(_lufs(np.mean(windows[loud]))) + RANGE_GATE_LU)
    passed = levels[_passes(levels, gate)]
    return round(quantile(passed, 0.95) - quantile(passed, 0.10), 2)


def _passes(levels: npt.NDArray[np.float64], gate: float) -> npt.NDArray[np.bool_]:
    """Whether levels reach a gate, in steps of `GATE_STEPS`."""
    return np.asarray(np.floor(GATE_STEPS * levels) >= math.floor(GATE_STEPS * gate), np.bool_)


def _lufs(power: npt.NDArray[np.float64] | np.floating) -> npt.NDArray[np.float64]:
    return np.asarray(-0.691 + 10 * np.log10(np.maximum(power, 1e-12)), np.float64)


def _moving_mean(values: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    if len(values) < size:
        return np.zeros(0)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(values, size).mean(axis=1), np.float64)


@functools.cache
def _transformed_response(rate_hz: int, size: int) -> npt.NDArray[np.complex64]:
    taps = k_weighting.impulse_response(rate_hz, rate_hz // 10)
    return np.asarray(fft.fft(taps, size), np.complex64)
