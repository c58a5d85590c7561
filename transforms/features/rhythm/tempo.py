"""Tempo: every period from 40 to 240 beats a minute rated by a fitted model of the autocorrelation around it.

What decides the octave is how the pattern of each frequency range repeats at parts and multiples of a beat: a bass
drum every second beat, a hi-hat twice a beat, a chord every fourth. The model reads the autocorrelation of each channel
at those multiples, and the tempo itself. It was fitted by `benchmarks/rhythmic/fit.py`.
"""

import dataclasses
import functools

import numpy as np

from transforms.audio.samples import Float32
from transforms.features.rhythm.network import Network, shares
from transforms.features.rhythm.periods import CELLS, CELLS_AN_OCTAVE, CHANNELS, PERIODS_S, cell
from transforms.features.rhythm.tempo_weights import TABLE

MULTIPLES = (1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 3 / 2, 2, 3, 4, 6, 8)
FASTEST_BPM, SLOWEST_BPM = 240.0, 40.0
CANDIDATES = np.arange(cell(60 / FASTEST_BPM), cell(60 / SLOWEST_BPM) + 1)
BPM = 60 / PERIODS_S[CANDIDATES]
_PRIOR_BPM = np.geomspace(45, 220, 9)
_PRIOR_OCTAVES = 0.22
_NEAR = 3
"""Cells (1 % each) to both sides that are the same tempo."""
_LAG_HZ = 250


@dataclasses.dataclass(frozen=True)
class Tempo:
    """Beats a minute, the share of the model's belief within 3 % of it, and the same of the better other octave."""

    bpm: float
    share: float
    other_bpm: float
    other_share: float


def names() -> list[str]:
    """What each input of the model is, in order."""
    of_periods = [f"{channel} at {multiple:.3g}" for multiple in MULTIPLES for channel in CHANNELS]
    return of_periods + [f"near {bpm:.0f} bpm" for bpm in _PRIOR_BPM]


def inputs(periods: Float32) -> Float32:
    """Float32 [8 channels, 570 periods] -> float32 [candidates, inputs]. Periods are `dilated`."""
    parts = [periods[:, _shifted(multiple)] for multiple in MULTIPLES]
    return np.concatenate([*parts, _prior()]).T


@functools.lru_cache(maxsize=16)
def _shifted(multiple: float) -> np.ndarray:
    return np.clip(CANDIDATES + round(CELLS_AN_OCTAVE * float(np.log2(multiple))), 0, CELLS - 1)


@functools.lru_cache(maxsize=1)
def _prior() -> Float32:
    distance = np.log2(BPM)[None] - np.log2(_PRIOR_BPM)[:, None]
    return np.exp(-0.5 * (distance / _PRIOR_OCTAVES) ** 2).astype(np.float32)


def dilated(periods: Float32) -> Float32:
    """Each period takes the greatest value within 1 %: beats are not exact."""
    wide = periods.copy()
    np.maximum(wide[:, 1:], periods[:, :-1], out=wide[:, 1:])
    np.maximum(wide[:, :-1], periods[:, 1:], out=wide[:, :-1])
    return wide


def within(belief: Float32) -> Float32:
    """Sum of each candidate's belief and of its neighbours within 3 %, float32 [candidates]."""
    total = np.concatenate([[0.0], np.cumsum(belief, dtype=np.float64)])
    at = np.arange(len(belief))
    found: Float32 = total[np.minimum(at + _NEAR + 1, len(belief))] - total[np.maximum(at - _NEAR, 0)]
    return found


@functools.lru_cache(maxsize=1)
def _model() -> Network:
    return Network.of_table(TABLE, scores=1)


def estimate(periods: Float32, lags: Float32, model: Network | None = None) -> Tempo:
    """The tempo with the greatest belief, refined on the autocorrelation itself.

    Args:
      periods: float32 [8, 570], `dilated`.
      lags: float32 [n], autocorrelation of the whole onset strength, 250 lags a second.
      model: another model than the fitted one.
    """
    belief = within(shares((model or _model()).scores(inputs(periods))[:, 0]))
    best = int(belief.argmax())
    others = [other for other in (best - CELLS_AN_OCTAVE, best + CELLS_AN_OCTAVE) if 0 <= other < len(belief)]
    other = max(others, key=lambda at: float(belief[at]))
    bpm = 60 / _refined(float(PERIODS_S[CANDIDATES[best]]), lags)
    bpm = min(max(bpm, SLOWEST_BPM), FASTEST_BPM)  # the first cell and refining reach beyond
    octave = 2.0 if other < best else 0.5
    return Tempo(bpm, float(belief[best]), bpm * octave, float(belief[other]))


def _refined(period_s: float, lags: Float32) -> float:
    """The period moved to the peaks at 1, 2, 4 and 8 times itself, each found near where the last one says."""
    lag, tolerance = period_s * _LAG_HZ, 0.03
    for multiple in (1, 2, 4, 8):
        low, high = int(multiple * lag * (1 - tolerance)), int(multiple * lag * (1 + tolerance)) + 2
        part = lags[low:high]
        if len(part) < high - low or high - low < 3:
            break
        peak = int(part.argmax())
        if 0 < peak < len(part) - 1 and part[peak] > 0.05:
            lag = (low + peak + _vertex(part[peak - 1 : peak + 2])) / multiple
            tolerance = 0.03 / multiple
    return lag / _LAG_HZ


def _vertex(three: Float32) -> float:
    """Where the parabola through three values, the middle one greatest, has its maximum: -0.5 to 0.5."""
    left, middle, right = (float(value) for value in three)
    bend = left - 2 * middle + right
    return 0.5 * (left - right) / bend if bend < 0 else 0.0
