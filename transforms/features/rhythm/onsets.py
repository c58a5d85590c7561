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
from transforms.features.quantile import quantile
from transforms.features.windows import hann

HOP_S = 0.016
"""Seconds between frames of onset strength: 62.5 frames a second."""
RANGES_HZ = (0, 160, 500, 2_000, 8_000)
_BANDS = 28
_GAIN = 100.0
_SLOWER = 4
"""Pitch content is computed at a quarter of the sampling rate and of the frame rate."""
_PITCHES = (33, 90)
_GROUP_PITCHES = 16
_BLOCK_SAMPLES = 49_152


@dataclasses.dataclass(frozen=True)
class Onsets:
    """Onset strength and pitch content.

    Attributes:
      strength: float32 [ranges + 1, frames]: flux of each of `RANGES_HZ`, then of all together; 62.5 frames a second.
      pitches: float32 [pitches, frames / 4]: logarithmic power of semitones from A1 (MIDI 33) to F#6 (MIDI 90).
      depth: mean over frames of the sum of all bands' flux, in nepers of power: how much happens at all.
      height: the flux, in the same unit, that one frame of a hundred exceeds: how clear the clearest onsets are.
      power: mean of all bands' power, scaled so that it is at most the highest square of a sample. It is not finite if
        a sample is not, or if it is far too loud.
    """

    strength: Float32
    pitches: Float32
    depth: float
    height: float
    power: float


def onsets(samples: Float32, rate_hz: int) -> Onsets:
    """Float32 mono [n] at `rate_hz` (8 to 48 kHz) -> `Onsets`. Needs at least two windows of 32 ms."""
    hop = round(rate_hz * HOP_S)
    samples = samples[: len(samples) // hop * hop]
    bands = _power_in_bands(samples, rate_hz, hop)
    log = _logarithm(bands)
    flux = np.maximum(log[1:] - log[:-1], 0)
    strength = np.matmul(_groups(rate_hz, hop), flux.T)
    height = quantile(strength[-1], 0.99)
    return Onsets(
        strength=strength,
        pitches=_pitch_content(samples, rate_hz, hop),
        depth=float(strength[-1].mean()),
        height=height,
        power=float(bands.sum()) / (len(bands) * hop**2),
    )


def _power_in_bands(samples: Float32, rate_hz: int, hop: int) -> Float32:
    """Power in bands of windows of two hops, one each hop: float32 [n] -> float32 [frames, 28]."""
    hops = samples[: len(samples) // hop * hop].reshape(-1, hop)
    matrix, block = _band_matrix(rate_hz, hop), max(1, _BLOCK_SAMPLES // hop)
    out, folded = np.empty((len(hops) - 1, matrix.shape[1]), np.float32), np.empty((block, hop), np.float32)
    for start in range(0, len(out), block):
        second = hops[start + 1 : start + 1 + block]
        some = _folded(hops[start : start + len(second)], second, folded[: len(second)])
        np.matmul(_power(some, len(matrix)), matrix, out=out[start : start + block])
    return out


def _folded(first: Float32, second: Float32, out: Float32) -> Float32:
    """Frames under a Hann window, both halves added up: float32 [frames, n] twice -> float32 [frames, n].

    Their transform has every second bin of that of the frames. They tell as much: the main lobe of a Hann window is
    four bins wide. As the window's halves add up to one, a frame is its second half plus the weighted difference.
    """
    np.subtract(first, second, out=out)
    out *= hann(2 * out.shape[1])[: out.shape[1]]
    out += second
    return out


def _power(rows: Float32, bins: int) -> Float32:
    """The first bins of the power spectra of real rows: float32 [frames, n] -> float32 [frames, bins]."""
    parts = fft.rfft(rows, axis=1)[:, :bins].view(np.float32)
    np.multiply(parts, parts, out=parts)
    return np.asarray(parts[:, 0::2] + parts[:, 1::2], np.float32)


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
    """Which band belongs to which range, and all of them, float32 [5, 28]."""
    edges = _band_edges(rate_hz)
    middle = (edges[:-1] + edges[1:]) / 2
    ranges = np.searchsorted(np.array(RANGES_HZ[1:-1]), middle, side="right")
    of_range = np.arange(len(RANGES_HZ) - 1)[:, None] == ranges
    return np.concatenate([of_range, np.ones((1, _BANDS))]).astype(np.float32)


def _logarithm(power: Float32) -> Float32:
    """log(1 + gain * power / reference): half of a band's reference is its own mean level, half that of all bands."""
    mean = power.mean(0)
    reference = np.sqrt(mean * max(float(mean.mean()), 1e-30)) + np.float32(1e-20)
    found: Float32 = np.log1p(power * (_GAIN / reference).astype(np.float32))
    return found


def _pitch_content(samples: Float32, rate_hz: int, hop: int) -> Float32:
    """Logarithmic power of semitones, at a quarter of both rates, in windows of four hops that are folded, too.

    Blocks are small enough for the allocator to use the same memory again: fresh pages take longer than the transforms.
    """
    half = 2 * hop
    slow = _slower(samples)
    if len(slow) < 2 * half:
        slow = np.pad(slow, (0, 2 * half - len(slow)))
    halves = np.lib.stride_tricks.sliding_window_view(slow, half)[::hop]
    matrix, block = _pitch_matrix(rate_hz // _SLOWER, half), max(1, _BLOCK_SAMPLES // half)
    groups = _pitch_groups(rate_hz // _SLOWER, half)
    out, folded = np.empty((len(halves) - 2, matrix.shape[1]), np.float32), np.empty((block, half), np.float32)
    for start in range(0, len(out), block):
        first, second = halves[start : min(start + block, len(out))], halves[start + 2 : start + 2 + block]
        power = _power(_folded(first, second, folded[: len(second)]), len(matrix))
        for bins, pitches, part in groups:
            np.matmul(power[:, bins], part, out=out[start : start + block, pitches])
    return np.ascontiguousarray(_logarithm(out).T)


def _slower(samples: Float32) -> Float32:
    """Sums of four samples each. Two sums are added at a time, as the parts of a complex number."""
    pairs = np.ascontiguousarray(samples[: len(samples) // _SLOWER * _SLOWER], np.float32).view(np.complex64)
    twos = (pairs[0::2] + pairs[1::2]).view(np.float32)
    slow: Float32 = twos[0::2] + twos[1::2]
    return slow


@functools.lru_cache(maxsize=8)
def _pitch_groups(rate_hz: int, size: int) -> tuple[tuple[slice, slice, Float32], ...]:
    """The pitch matrix in parts of 16 pitches, each without its zero rows: a quarter of the multiplications."""
    matrix = _pitch_matrix(rate_hz, size)
    groups = []
    for first in range(0, matrix.shape[1], _GROUP_PITCHES):
        pitches = slice(first, first + _GROUP_PITCHES)
        used = np.flatnonzero(matrix[:, pitches].any(axis=1))
        bins = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)
        groups.append((bins, pitches, np.ascontiguousarray(matrix[bins, pitches])))
    return tuple(groups)


@functools.lru_cache(maxsize=8)
def _pitch_matrix(rate_hz: int, size: int) -> Float32:
    """Triangles a semitone wide at least one bin to each side, float32 [bins, pitches]."""
    centre = 440 * 2 ** ((np.arange(*_PITCHES) - 69) / 12) / (rate_hz / size)
    width = np.maximum(centre * (2 ** (1 / 12) - 1), 1.0)
    bins = min(size // 2 + 1, int(centre[-1] + width[-1]) + 1)
    return np.maximum(1 - np.abs(np.arange(bins)[:, None] - centre) / width, 0).astype(np.float32)
