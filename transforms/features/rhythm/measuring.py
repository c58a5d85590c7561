"""Tempo, metre, onset rate and danceability of one contiguous excerpt of a track."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from transforms.audio.samples import Float32
from transforms.features.quantile import quantile
from transforms.features.rhythm import metre, tempo
from transforms.features.rhythm.network import calibrated
from transforms.features.rhythm.onsets import Onsets, onsets
from transforms.features.rhythm.periods import CHANNELS, cell, periodicity
from transforms.features.rhythm.pulse_weights import METRE_SCALING, PULSE, TEMPO_SCALING

LEAST_S = 4.0
"""Less than this says nothing about tempo."""
LONGEST_S = 60.0
"""Of a longer excerpt, the middle 60 s are used."""
QUIETEST = 1e-5
"""Greatest sample (full scale is 1) below which an excerpt is silence."""
_LOUDEST = 1e12
"""`Onsets.power` below which nothing overflows later."""
_FEWEST_ONSETS = 5
_LOWEST_HEIGHT = 8.0
"""Sustained sounds, whose partials beat, stay below this `Onsets.height` (at most 7.7 of those made for the fit); the
lowest of 880 rendered pieces is 12."""
_PULSE = 0.25
"""Least probability of a pulse with which a tempo is told."""
_ALL, _LOW = CHANNELS.index("all"), CHANNELS.index("below 160 Hz")
_REACH = 3
"""Frames to both sides in which an onset is the greatest: two onsets are at least 64 ms apart."""


@dataclasses.dataclass(frozen=True)
class Rhythm:
    """What can be said of an excerpt's rhythm. None: nothing.

    Attributes:
      tempo_bpm: felt beats a minute, 40 to 240. In compound metres a beat is a dotted note.
      tempo_confidence: calibrated probability that the tempo is right to within 4 %.
      tempo_alternative_bpm: half or twice the tempo, whichever the model believes more.
      tempo_alternative_weight: the model's belief in it, 0 to 1; at most 1 - the belief in the tempo.
      beats_per_bar: upper number of the time signature: 4, 3, 6 or 5.
      beat_unit: its lower number: 4, or 8 in compound metre.
      metre_confidence: calibrated probability that the metre is right.
      onset_rate_hz: onsets a second (notes, chords and strokes that begin 64 ms apart or more).
      danceability: 0 to 1, how regularly the beat repeats: the mean autocorrelation of the onset strength at 1, 2 and
        4 beats, half of it from all frequencies and half from those below 160 Hz, times a factor that is 1 at 120 beats
        a minute and falls with the distance from it (0.5 at half and double). It rises with regularity and with a
        regular bass, and does not depend on level or timbre.
    """

    tempo_bpm: float | None = None
    tempo_confidence: float | None = None
    tempo_alternative_bpm: float | None = None
    tempo_alternative_weight: float | None = None
    beats_per_bar: int | None = None
    beat_unit: int | None = None
    metre_confidence: float | None = None
    onset_rate_hz: float | None = None
    danceability: float | None = None


def measure_rhythm(samples: Float32, rate_hz: int) -> Rhythm:
    """Float32 mono [n] at `rate_hz` (8,000 to 48,000 Hz) -> `Rhythm`. The same bits for the same samples.

    Silence, less than 4 s, and sound without a pulse (noise, drones, speech) have no tempo. Samples that are not finite
    count as zero.
    """
    extra = max(0, len(samples) - int(LONGEST_S * rate_hz)) // 2
    samples = samples[extra : len(samples) - extra].astype(np.float32, copy=False)
    if len(samples) < LEAST_S * rate_hz:
        return Rhythm()
    with np.errstate(over="ignore", invalid="ignore"):
        found = onsets(samples, rate_hz)
    if not found.power < _LOUDEST:
        samples = _tamed(samples)
        found = onsets(samples, rate_hz)
    if found.power < 2 * QUIETEST**2 and np.abs(_tamed(samples)).max() < QUIETEST:
        return Rhythm()
    count = onset_count(found)
    rate = round(count / (len(samples) / rate_hz), 3)
    if count < _FEWEST_ONSETS:
        return Rhythm(onset_rate_hz=rate)
    periods, lags = periodicity(found)
    periods = tempo.dilated(periods)
    told = tempo.estimate(periods, lags)
    pulse = 1 / (1 + np.exp(-float(pulse_inputs(found, periods, told.bpm) @ np.array(PULSE))))
    if pulse < _PULSE:
        return Rhythm(onset_rate_hz=rate)
    return _told(told, periods, float(pulse), rate)


def _tamed(samples: Float32) -> Float32:
    """The samples, finite, and scaled if they are so loud that something would overflow later."""
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return samples / np.float32(max(1.0, float(np.abs(samples).max(initial=0.0))))


def _told(told: tempo.Tempo, periods: Float32, pulse: float, rate: float) -> Rhythm:
    (beats, unit), belief = metre.estimate(periods, told.bpm)
    return Rhythm(
        tempo_bpm=round(told.bpm, 2),
        tempo_confidence=round(pulse * calibrated(told.share, *TEMPO_SCALING), 4),
        tempo_alternative_bpm=round(told.other_bpm, 2),
        tempo_alternative_weight=round(told.other_share, 4),
        beats_per_bar=beats,
        beat_unit=unit,
        metre_confidence=round(pulse * calibrated(belief, *METRE_SCALING), 4),
        onset_rate_hz=rate,
        danceability=round(danceability(periods, told.bpm), 4),
    )


def onset_count(found: Onsets) -> int:
    """Local maxima of onset strength that rise above their surroundings and above a share of the clearest ones."""
    strength = found.strength[-1]
    if found.height < _LOWEST_HEIGHT:
        return 0
    greatest = strength.copy()
    for distance in range(1, _REACH + 1):
        np.maximum(greatest[distance:], strength[:-distance], out=greatest[distance:])
        np.maximum(greatest[:-distance], strength[distance:], out=greatest[:-distance])
    total = np.cumsum(np.pad(strength, (16, 15), mode="edge"), dtype=np.float64)
    around = (total[31:] - total[:-31]) / 31
    threshold = np.maximum(1.5 * around, np.float32(0.15 * found.height))
    return int(np.count_nonzero((strength >= greatest) & (strength > threshold) & (strength > 0)))


def pulse_inputs(found: Onsets, periods: Float32, bpm: float) -> npt.NDArray[np.float64]:
    """What tells a pulse from noise, drones and speech: float64 [8].

    One, the logarithms of the mean flux and of its height, the contrast of onset strength, the greatest autocorrelation
    at beat periods of all frequencies and of any range, and the mean at 1, 2 and 4 beats of the onset strength and of
    the pitches.
    """
    strength = found.strength[-1]
    contrast = quantile(strength, 0.95) / max(float(strength.mean()), 1e-9)
    beats = _beat_cells(periods, bpm)
    span = slice(cell(0.25), cell(1.5))
    return np.array(
        [
            1.0,
            np.log(max(found.depth, 1e-6)),
            np.log(max(found.height, 1e-6)),
            min(contrast, 10.0),
            periods[_ALL, span].max(),
            periods[: _ALL + 1, span].max(),
            periods[_ALL, beats].mean(),
            periods[_ALL + 1, beats].mean(),
        ],
        np.float64,
    )


def danceability(periods: Float32, bpm: float) -> float:
    """See `Rhythm.danceability`."""
    beats = _beat_cells(periods, bpm)
    regular = float(periods[_ALL, beats].mean() + periods[_LOW, beats].mean()) / 2
    factor = math.exp2(-(math.log2(bpm / 120) ** 2))
    return min(1.0, max(0.0, regular)) * factor


def _beat_cells(periods: Float32, bpm: float) -> list[int]:
    """The cells of 1, 2 and 4 beats, as far as there are such periods."""
    cells = [cell(60 / bpm * multiple) for multiple in (1, 2, 4)]
    return [at for at in cells if at < periods.shape[1]]
