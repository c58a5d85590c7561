"""Loudness of an excerpt at a tenth of the exact meter's cost, within a tolerance that is stated."""

import dataclasses
import functools

import numpy as np
import numpy.typing as npt

from transforms.features.parameters import k_weighting
from transforms.features.parameters.cleaning import finite
from transforms.features.parameters.loudness import LOWEST_RATE_HZ, Loudness, integrated_lufs, range_lu
from transforms.features.parameters.true_peak import REACH, interpolated_peak, to_dbtp

TOLERANCE_LU = 0.25
"""The estimate differs from the exact meter by less on 69 of 70 pieces of music; see docs/quality.md."""
FRAME_SAMPLES = 512
"""Samples whose spectrum stands for a hop of 0.1 s."""
LOW_RATE_HZ = 750
"""Least rate of the signal in which what the high-pass removes is measured."""
PEAK_HOPS = 8
"""Hops with the highest samples, in which values between samples are looked at."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExcerptLoudness:
    """Loudness of an excerpt, and the mean frequency of its power spectrum in Hz (None for silence)."""

    loudness: Loudness
    brightness_hz: float | None


def estimate_loudness(samples: npt.NDArray[np.float32], rate_hz: int) -> ExcerptLoudness:
    """Loudness of samples [n, channels] with one or two channels.

    The power of each hop of 0.1 s is exact. It is multiplied by the shelf's gain in one short spectrum of the hop, and
    reduced by what the high-pass removes, which is measured at a rate of about 0.75 kHz. Both channels are transformed
    as the real and the imaginary part of one signal: their powers add up.

    Raises:
      ValueError: more than two channels (use the exact meter), or a rate below 4,000 Hz.
    """
    if rate_hz < LOWEST_RATE_HZ or not 1 <= samples.shape[1] <= 2:
        raise ValueError(f"rate_hz={rate_hz}, channels={samples.shape[1]}: at least 4000 Hz, one or two channels")
    hop = rate_hz // 10
    hops = len(samples) // hop
    if not hops:
        return ExcerptLoudness(loudness=Loudness(), brightness_hz=None)
    clean = finite(samples[: hops * hop])
    pair = clean if clean.shape[1] == 2 else np.concatenate([clean, np.zeros_like(clean)], axis=1)
    signal = np.ascontiguousarray(pair).view(np.complex64).reshape(hops, hop)
    parts = signal.view(np.float32)
    power = np.einsum("ij,ij->i", parts, parts).astype(np.float64) / hop
    gain, brightness = _shelf_gain(signal, rate_hz)
    energies = np.maximum(power * gain - _removed_power(signal, rate_hz), 1e-4 * power)
    loudness = Loudness(
        loudness_lufs=integrated_lufs(energies),
        loudness_range_lu=range_lu(energies),
        true_peak_dbtp=_peak(clean, parts, hop),
    )
    return ExcerptLoudness(loudness=loudness, brightness_hz=brightness)


def _shelf_gain(signal: npt.NDArray[np.complex64], rate_hz: int) -> tuple[npt.NDArray[np.float64], float | None]:
    """Power gain of the shelf in the middle of each hop, float64 [hops], and the mean frequency."""
    size = min(FRAME_SAMPLES, signal.shape[1])
    first = (signal.shape[1] - size) // 2
    window, gains, frequencies = _frame_tables(rate_hz, size)
    spectra = np.fft.fft(signal[:, first : first + size] * window)
    powers = np.square(spectra.view(np.float32))
    totals = powers.sum(axis=1, dtype=np.float64)
    gain = (powers @ gains).astype(np.float64) / np.maximum(totals, 1e-20)
    total = totals.sum()
    brightness = float((powers @ frequencies).sum(dtype=np.float64) / total) if total > 1e-9 else None
    return np.where(totals > 1e-20, gain, 1.0), None if brightness is None else round(brightness, 1)


@functools.cache
def _frame_tables(rate_hz: int, size: int) -> tuple[npt.NDArray[np.float32], ...]:
    """Hann window [size]; shelf gain and frequency of each real number of a transform [2 size]."""
    window = np.hanning(size + 1)[:size].astype(np.float32)
    cycles = np.fft.fftfreq(size)
    gain = np.abs(k_weighting.stage_response(k_weighting.biquads(rate_hz)[0], cycles)) ** 2
    gain *= _passed_gain(rate_hz)
    tables = (np.repeat(gain, 2), np.repeat(np.abs(cycles) * rate_hz, 2))
    return window, *(table.astype(np.float32) for table in tables)


def _removed_power(signal: npt.NDArray[np.complex64], rate_hz: int) -> npt.NDArray[np.float64]:
    """Power that the high-pass removes from each hop, float64 [hops]."""
    hops, hop = signal.shape
    factor = _decimation(rate_hz)
    low = signal.reshape(-1, factor) @ np.full(factor, 1 / factor, np.complex64)
    per_hop = hop // factor
    size = 1 << (len(low) + per_hop - 1).bit_length()  # Zeros keep the end from the beginning.
    gain = _pass_gain(rate_hz, factor, size)
    passed = np.fft.ifft(np.fft.fft(low, len(gain)) * gain)[: len(low)].astype(np.complex64)
    before, after = (part.view(np.float32).reshape(hops, -1) for part in (low, passed))
    lost = _passed_gain(rate_hz) * np.einsum("ij,ij->i", before, before) - np.einsum("ij,ij->i", after, after)
    return np.asarray(lost / per_hop, np.float64)


@functools.cache
def _passed_gain(rate_hz: int) -> float:
    """Power gain of the high-pass far above its edge: a little over 1, and more at low rates."""
    return float(np.abs(k_weighting.stage_response(k_weighting.biquads(rate_hz)[1], np.array([0.25]))[0]) ** 2)


@functools.cache
def _decimation(rate_hz: int) -> int:
    """The largest divisor of a hop that leaves a rate of `LOW_RATE_HZ` or more."""
    hop = rate_hz // 10
    return max(d for d in range(1, hop + 1) if hop % d == 0 and rate_hz >= d * LOW_RATE_HZ)


@functools.lru_cache(maxsize=4)
def _pass_gain(rate_hz: int, factor: int, size: int) -> npt.NDArray[np.complex64]:
    cycles = np.fft.fftfreq(size) / factor
    return k_weighting.stage_response(k_weighting.biquads(rate_hz)[1], cycles).astype(np.complex64)


def _peak(clean: npt.NDArray[np.float32], parts: npt.NDArray[np.float32], hop: int) -> float | None:
    """True peak in dBTP of the hops with the highest samples."""
    highest = np.maximum(parts.max(axis=1), -parts.min(axis=1))
    peak = float(highest.max())
    for place in np.argsort(-highest, kind="stable")[:PEAK_HOPS].tolist():
        known = clean[max(0, place * hop - REACH) : (place + 1) * hop + REACH]
        peak = interpolated_peak(known, peak) if len(known) > 2 * REACH else peak
    return to_dbtp(peak)
