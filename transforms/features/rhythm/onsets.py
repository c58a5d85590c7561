"""Onset strength by frequency range, and pitch content, of one excerpt: what tempo and metre are estimated from.

Onset strength is spectral flux on logarithmic power (Bello et al., "A tutorial on onset detection in music signals",
IEEE TSAP 2005), in four ranges, so that a bass drum, a snare and a hi-hat have each a pattern of their own (Scheirer,
"Tempo and beat analysis of acoustic musical signals", JASA 1998). Nothing depends on the level of the excerpt.
"""

import dataclasses
import functools

import numpy as np
from scipy import fft

from transforms.audio.samples import Float32

HOP_S = 0.016
"""Seconds between frames of onset strength: 62.5 frames a second."""
RANGES_HZ = (0, 160, 500, 2_000, 8_000)
_BANDS = 28
_GAIN = 100.0
_SLOWER = 4
"""Pitch content is computed at a quarter of the sampling rate and of the frame rate."""
_PITCHES = (33, 90)
_BLOCK_SAMPLES = 24_576


@dataclasses.dataclass(frozen=True)
class Onsets:
    """Onset strength and pitch content.

    Attributes:
      strength: float32 [ranges + 1, frames]: flux of each of `RANGES_HZ`, then of all together; 62.5 frames a second.
      pitches: float32 [pitches, frames / 4]: logarithmic power of semitones from A1 (MIDI 33) to F#6 (MIDI 90).
      depth: mean over frames of the sum of all bands' flux, in nepers of power: how much happens at all.
      height: the flux, in the same unit, that one frame of a hundred exceeds: how clear the clearest onsets are.
    """

    strength: Float32
    pitches: Float32
    depth: float
    height: float


def onsets(samples: Float32, rate_hz: int) -> Onsets:
    """Float32 mono [n] at `rate_hz` (8 to 48 kHz) -> `Onsets`. Needs at least two windows of 32 ms."""
    hop = round(rate_hz * HOP_S)
    log = _logarithm(_power_in(_band_matrix(rate_hz, 2 * hop), samples, hop, 2 * hop))
    flux = np.maximum(log[1:] - log[:-1], 0)
    grouped = flux @ _groups(rate_hz, 2 * hop)
    strength = np.ascontiguousarray(np.concatenate([grouped, flux.sum(1, keepdims=True)], axis=1).T)
    height = float(np.quantile(strength[-1], 0.99))
    return Onsets(strength, _pitch_content(samples, rate_hz, hop), float(strength[-1].mean()), height)


def _power_in(matrix: Float32, samples: Float32, hop: int, size: int) -> Float32:
    """Power in bands: float32 [n] and [bins, bands] -> float32 [frames, bands].

    Blocks are small enough for the allocator to use the same memory again: fresh pages take longer than the transforms.
    """
    windows = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop]
    window, block, used = _window(size), max(1, _BLOCK_SAMPLES // size), len(matrix)
    out, windowed = np.empty((len(windows), matrix.shape[1]), np.float32), np.empty((block, size), np.float32)
    for start in range(0, len(windows), block):
        some = windowed[: len(windows) - start]
        some[:] = windows[start : start + block]  # Copied first: to multiply overlapping windows takes longer.
        some *= window
        parts = fft.rfft(some, axis=1)[:, :used].view(np.float32)
        np.multiply(parts, parts, out=parts)
        np.matmul(parts[:, 0::2] + parts[:, 1::2], matrix, out=out[start : start + block])
    return out


@functools.lru_cache(maxsize=8)
def _window(size: int) -> Float32:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


def _band_edges(rate_hz: int) -> np.ndarray:
    """Edges in Hz: linear below 500 Hz, logarithmic above."""
    top = min(8_000, rate_hz / 2)
    return np.concatenate([np.linspace(30, 500, 9), np.geomspace(500, top, _BANDS - 7)[1:]])


@functools.lru_cache(maxsize=8)
def _band_matrix(rate_hz: int, size: int) -> Float32:
    """Share of each bin in each band, float32 [bins, 28]: rectangles, with bins divided between neighbours."""
    edges = _band_edges(rate_hz) / (rate_hz / size)
    bins = np.arange(size // 2 + 1)[:, None]
    low, high = np.maximum(edges[:-1], bins - 0.5), np.minimum(edges[1:], bins + 0.5)
    shares: Float32 = np.maximum(high - low, 0).astype(np.float32)
    return shares


@functools.lru_cache(maxsize=8)
def _groups(rate_hz: int, size: int) -> Float32:
    """Which band belongs to which range, float32 [28, 4]."""
    edges = _band_edges(rate_hz)
    middle = (edges[:-1] + edges[1:]) / 2
    ranges = np.searchsorted(np.array(RANGES_HZ[1:-1]), middle, side="right")
    groups: Float32 = (ranges[:, None] == np.arange(len(RANGES_HZ) - 1)).astype(np.float32)
    return groups


def _logarithm(power: Float32) -> Float32:
    """log(1 + gain * power / reference): half of a band's reference is its own mean level, half that of all bands."""
    mean = power.mean(0)
    reference = np.sqrt(mean * max(float(mean.mean()), 1e-30)) + np.float32(1e-20)
    found: Float32 = np.log1p(power * (_GAIN / reference).astype(np.float32))
    return found


def _pitch_content(samples: Float32, rate_hz: int, hop: int) -> Float32:
    whole = len(samples) // _SLOWER * _SLOWER
    slow = samples[:whole].reshape(-1, _SLOWER) @ np.ones(_SLOWER, np.float32)
    size = 4 * hop
    if len(slow) < size:
        slow = np.pad(slow, (0, size - len(slow)))
    power = _power_in(_pitch_matrix(rate_hz // _SLOWER, size), slow, hop, size)
    return np.ascontiguousarray(_logarithm(power).T)


@functools.lru_cache(maxsize=8)
def _pitch_matrix(rate_hz: int, size: int) -> Float32:
    """Triangles a semitone wide at least one bin to each side, float32 [bins, pitches]."""
    centre = 440 * 2 ** ((np.arange(*_PITCHES) - 69) / 12) / (rate_hz / size)
    width = np.maximum(centre * (2 ** (1 / 12) - 1), 1.0)
    bins = min(size // 2 + 1, int(centre[-1] + width[-1]) + 1)
    return np.maximum(1 - np.abs(np.arange(bins)[:, None] - centre) / width, 0).astype(np.float32)
