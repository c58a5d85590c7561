"""The key of a recording: a linear classifier of chroma and chords, the same for every tonic."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from transforms.features.parameters.key_weights import BIAS, DETECTOR, WEIGHTS
from transforms.features.parameters.keys import KEY_NAMES, camelot
from transforms.features.parameters.pitch import FloatRows, PitchGrid, pitch_grid
from transforms.features.parameters.tonal_features import ROWS, tonal_rows, turned, unit_rows

FEWEST_FRAMES = 4
"""Sounding frames (of 0.5 s) below which nothing is said: 2 s."""
MOST_CONSTANT = 0.985
"""Mean cosine of the frames with their mean above which the sound is one drone or one chord."""
FEWEST_PITCHES = 3
"""Pitch classes of at least a tenth of the strongest one that a key needs."""
LEAST_TONAL = 0.3
"""Least probability that the sound is tonal music; below, no key is given."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tonality:
    """Key and tuning. All None where nothing can be said: silence, noise, clicks, a drone, speech, drums alone.

    Attributes:
      key: tonic and mode, `A minor`.
      key_confidence: probability that `key` is right, 0 to 1: 0.8 is right about 80 % of the time.
      key_second: the next probable key.
      camelot: code of `key` on the Camelot wheel, `8A`.
      tuning_cents: deviation of the tuning from A4 = 440 Hz in equal temperament, -50 to 50.
    """

    key: str | None = None
    key_confidence: float | None = None
    key_second: str | None = None
    camelot: str | None = None
    tuning_cents: float | None = None


def measure_key(samples: npt.NDArray[np.float32] | Sequence[npt.NDArray[np.float32]], rate_hz: int) -> Tonality:
    """The key of mono samples, float32 [n], or of several excerpts of one recording.

    Peaks of spectra of 0.5 s give the tuning and the amplitude of each semitone, less the likely harmonics of lower
    notes. Chroma of four registers, the share of each major and minor triad, and how often a triad is reached by a
    falling fifth are weighted as fitted by `benchmarks/tonality_fit.py` on composed and notated pieces (multinomial
    logistic regression whose weights are shared by all tonics).

    Args:
      samples: mono samples, full scale 1.0; values that are not finite count as 0.
      rate_hz: rate of all of them, at least 8,000 Hz.

    Raises:
      ValueError: the rate is below 8,000 Hz.
    """
    if rate_hz < 8_000:
        raise ValueError(f"rate_hz={rate_hz}: at least 8000 Hz are needed")
    grid = pitch_grid([samples] if isinstance(samples, np.ndarray) else samples, rate_hz)
    if grid is None or len(grid.notes) < FEWEST_FRAMES:
        return Tonality()
    rows = tonal_rows(grid)
    chances = key_probabilities(rows)
    tonal = tonal_probability(grid, rows, chances)
    if tonal < LEAST_TONAL or _is_static(grid, rows):
        return Tonality()
    second, first = np.argsort(chances, kind="stable")[-2:].tolist()
    return Tonality(
        key=KEY_NAMES[first],
        key_confidence=round(float(chances[first] * tonal), 3),
        key_second=KEY_NAMES[second],
        camelot=camelot(KEY_NAMES[first]),
        tuning_cents=grid.tuning_cents,
    )


def key_probabilities(rows: FloatRows) -> FloatRows:
    """Probability of each key of `KEY_NAMES`, float64 [24]."""
    scores = (turned(rows) @ WEIGHTS.reshape(2, ROWS * 12).T + BIAS).T.ravel()
    likely = np.exp(scores - scores.max())
    return np.asarray(likely / likely.sum(), np.float64)


def tonal_probability(grid: PitchGrid, rows: FloatRows, chances: FloatRows) -> float:
    """Probability that the sound is music with a key rather than noise, speech or drums."""
    score = float(np.concatenate([detector_values(grid, rows, chances), [1.0]]) @ DETECTOR)
    return float(1 / (1 + np.exp(-score)))


def detector_values(grid: PitchGrid, rows: FloatRows, chances: FloatRows) -> FloatRows:
    """What tells tonal music from other sound, float64 [6]: see the comments."""
    unit = unit_rows(grid.notes)
    lasting = np.vecdot(unit[1:], unit[:-1])[grid.follows[1:]]
    return np.array(
        [
            grid.tuned_share,  # Partials agree on one tuning.
            grid.peak_share,  # The spectrum consists of lines.
            lasting.mean() if len(lasting) else 0.0,  # Notes last or come again.
            np.log(len(grid.notes) / 10),  # More frames, surer values.
            rows[4].max() - np.median(rows[4]),  # Some pitch classes stand out.
            -float(chances @ np.log(np.maximum(chances, 1e-12))),  # Entropy of the key.
        ]
    )


def _is_static(grid: PitchGrid, rows: FloatRows) -> bool:
    """Whether the sound is one drone or one chord, from which a key cannot be told."""
    unit = unit_rows(grid.notes)
    mean = unit.mean(axis=0)
    constant = float((unit @ mean).mean() / max(np.linalg.norm(mean), 1e-9))
    return constant > MOST_CONSTANT or int((rows[4] >= 0.1 * rows[4].max()).sum()) < FEWEST_PITCHES
