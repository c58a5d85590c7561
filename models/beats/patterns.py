"""Patterns of drums with a known tempo, on which an imported network is tried."""

import numpy as np
import numpy.typing as npt

RATE_HZ = 44_100
PATTERN_BPM = (72.0, 90.0, 108.0, 126.0, 144.0, 162.0)
"""Beats a minute of the patterns. They are in 4/4."""
_SECONDS = 20.0


def drum_pattern(bpm: float, seconds: float = _SECONDS) -> npt.NDArray[np.float32]:
    """Bass drum on every beat, a brighter stroke and a chord on the first, snare on two and four, hi-hat between.

    Returns:
      float32 [n] at `RATE_HZ`, full scale 1.0.
    """
    rng = np.random.default_rng(round(bpm))
    samples = np.zeros(round((seconds + 3) * RATE_HZ))
    for half in range(int(2 * seconds * bpm / 60)):
        at = round(half * 30 / bpm * RATE_HZ)
        beat, is_between = divmod(half, 2)
        sounds = [_hat(rng)] if is_between else [_kick(), *([_snare(rng)] if beat % 2 else [])]
        if not is_between and beat % 4 == 0:
            sounds.append(_first(beat // 4, rng))
        for sound in sounds:
            samples[at : at + len(sound)] += sound
    samples = samples[: round(seconds * RATE_HZ)]
    return np.asarray(0.5 * samples / np.abs(samples).max(), np.float32)


def noise(seconds: float = _SECONDS) -> npt.NDArray[np.float32]:
    """White noise without any beat, float32 [n]."""
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def _time(seconds: float) -> npt.NDArray[np.float64]:
    return np.arange(round(seconds * RATE_HZ)) / RATE_HZ


def _kick() -> npt.NDArray[np.float64]:
    time = _time(0.2)
    return np.asarray(np.sin(2 * np.pi * (55 * time - 2 * np.exp(-time * 40))) * np.exp(-time * 20))


def _snare(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    time = _time(0.15)
    return np.asarray((0.5 * rng.standard_normal(len(time)) + 0.4 * np.sin(400 * np.pi * time)) * np.exp(-time * 30))


def _hat(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    time = _time(0.05)
    return np.asarray(0.3 * np.diff(rng.standard_normal(len(time) + 1)) * np.exp(-time * 90))


def _first(bar: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A cymbal, and a chord that changes with the bar."""
    time = _time(1.2)
    root = 220 * 2 ** ((0, 5, 7, 3)[bar % 4] / 12)
    chord = sum(np.sin(2 * np.pi * root * ratio * time) for ratio in (1, 1.26, 1.5, 2, 4, 6))
    cymbal = np.diff(rng.standard_normal(len(time) + 1)) * np.exp(-time * 6)
    return np.asarray((0.12 * chord * np.exp(-time * 2) + 0.25 * cymbal) * np.minimum(1, time * 1_000))
