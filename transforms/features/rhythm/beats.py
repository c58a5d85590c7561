"""From the output of a beat-tracking network to tempo and metre.

No state space is searched. Beats are peaks of the logits; the tempo is that of the median distance of beats; the metre
is the number of beats between downbeats that most bars have. What is told is what most of the excerpt agrees on, and
the share of it that agrees is the evidence from which confidences are calibrated.
"""

import dataclasses
from collections import Counter

import numpy as np

from transforms.audio.samples import Float32
from transforms.features.parameters.record import Parameters
from transforms.features.rhythm.beat_input import BeatInput
from transforms.features.rhythm.network import calibrated

FASTEST_BPM, SLOWEST_BPM = 240.0, 40.0
FEWEST_BEATS, FEWEST_BARS = 6, 3
REGULAR = 0.1
"""Distances of beats within this of the median one, relative to it, are regular."""
LEAST_REGULAR = 0.5
"""Share of the excerpt's time in regular distances below which nothing is told. Peaks of noise have about 0.15."""
LEAST_AGREED = 0.5
"""Share of bars below which the network says nothing about metre."""
OCTAVE_SHARE = 0.5
"""Share of the remaining probability that the other octave gets: half or twice the tempo is the most frequent error of
every estimator of tempo."""
_PEAK_S = 0.07
"""Two beats are at least this far apart."""
_USUAL_BPM = 118.0
_CLEAR = 0.1
"""Difference of probabilities that decides between the two other octaves."""
SAME_TEMPO = 0.04
_SIGNATURES = {2: (4, 4), 3: (3, 4), 4: (4, 4), 5: (5, 4), 8: (4, 4)}
"""Beats between downbeats -> time signature. 2/4 and 2/2 are told as 4/4, as by the estimator without a network."""
_SIX = 6
"""Six counted beats are a bar of 6/8: two dotted beats, whose tempo is a third."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeardRhythm:
    """What a network says about an excerpt, in the units of `Parameters`.

    Attributes:
      tempo_bpm: beats a minute, 40 to 240.
      tempo_confidence: calibrated probability that the tempo is right, 0 to 1.
      tempo_alternative_bpm: half or twice the tempo.
      tempo_alternative_weight: belief in it, at most 1 - the confidence.
      signature: beats a bar and their unit; None if the network says nothing about metre.
      metre_confidence: calibrated probability that the metre is right, 0 to 1.
    """

    tempo_bpm: float
    tempo_confidence: float
    tempo_alternative_bpm: float
    tempo_alternative_weight: float
    signature: tuple[int, int] | None = None
    metre_confidence: float | None = None


def decode(beat: Float32, downbeat: Float32, given: BeatInput) -> HeardRhythm | None:
    """Tempo and metre from logits.

    Args:
      beat: float32 [frames], logit of a beat in each frame.
      downbeat: float32 [frames], logit of a downbeat.
      given: frame rate, and how evidence becomes confidence.

    Returns:
      None where the network hears no regular beat, or a logit is not finite.
    """
    if not (np.isfinite(beat).all() and np.isfinite(downbeat).all()):
        return None
    beats = peaks(beat, given.frames_hz)
    if len(beats) < FEWEST_BEATS:
        return None
    steps = np.diff(beats)
    near = np.abs(steps / np.median(steps) - 1) <= REGULAR
    regularity = float(steps[near].sum()) / max(1, len(beat) - 1)
    period = float(steps[near].mean()) if near.any() else 0.0
    if regularity < LEAST_REGULAR or not SLOWEST_BPM <= (bpm := 60 * given.frames_hz / period) <= FASTEST_BPM:
        return None
    strength = _probabilities(beat, beats)
    confidence = calibrated(min(1.0, regularity) * float(strength.mean()), *given.tempo_scaling)
    signature, agreed = _metre(beats, peaks(downbeat, given.frames_hz), period, downbeat)
    if signature == (6, 8):
        bpm, signature = (bpm / 3, (6, 8)) if bpm / 3 >= SLOWEST_BPM else (bpm, None)
    octave = _other_octave(beat, beats, strength, bpm)
    return HeardRhythm(
        tempo_bpm=round(bpm, 2),
        tempo_confidence=round(confidence, 4),
        tempo_alternative_bpm=round(bpm * octave, 2),
        tempo_alternative_weight=round((1 - confidence) * OCTAVE_SHARE, 4),
        signature=signature,
        metre_confidence=None if signature is None else round(calibrated(agreed, *given.metre_scaling), 4),
    )


def peaks(logits: Float32, frames_hz: float) -> Float32:
    """Places of the maxima above 0, in frames, between frames where the parabola through three values says so."""
    reach = max(1, round(_PEAK_S * frames_hz) - 1)
    padded = np.pad(logits, reach, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach)
    before, after = windows[: len(logits)].max(1), windows[reach + 1 :].max(1)
    at = np.flatnonzero((logits > 0) & (logits > before) & (logits >= after))
    left, middle, right = (logits[np.clip(at + move, 0, len(logits) - 1)].astype(np.float64) for move in (-1, 0, 1))
    bend = left - 2 * middle + right
    moved = np.divide(0.5 * (left - right), bend, out=np.zeros(len(at)), where=bend < 0)
    return np.asarray(at + np.clip(moved, -0.5, 0.5), np.float32)


def _probabilities(logits: Float32, places: Float32) -> Float32:
    """Probability at each place, the greatest of the nearest three frames."""
    at = np.clip(np.round(places).astype(int)[:, None] + np.arange(-1, 2), 0, len(logits) - 1)
    found: Float32 = 1 / (1 + np.exp(-np.clip(logits[at].max(1), -30, 30)))
    return found


def _other_octave(beat: Float32, beats: Float32, strength: Float32, bpm: float) -> float:
    """2 if there is more between the beats than they alternate, 0.5 if less; if both are alike, what is more usual."""
    middles = np.asarray((beats[1:] + beats[:-1]) / 2, np.float32)
    between = float(_probabilities(beat, middles).mean())
    alternating = abs(float(strength[::2].mean() - strength[1::2].mean()))
    if abs(between - alternating) > _CLEAR:
        return 2.0 if between > alternating else 0.5
    return 2.0 if bpm < _USUAL_BPM else 0.5


def _metre(beats: Float32, downbeats: Float32, period: float, logits: Float32) -> tuple[tuple[int, int] | None, float]:
    """The signature that most bars have, and the evidence for it: their share, times the mean probability."""
    if len(downbeats) <= FEWEST_BARS:
        return None, 0.0
    nearest = np.abs(beats[:, None] - downbeats).argmin(0)
    is_beat = np.abs(beats[nearest] - downbeats) <= period / 4
    on_beats = beats[np.unique(nearest[is_beat])]
    counts = np.round(np.diff(on_beats) / period).astype(int).tolist()
    told = Counter(_SIGNATURES.get(count, (6, 8) if count == _SIX else None) for count in counts)
    if len(counts) < FEWEST_BARS:
        return None, 0.0
    (signature, votes), *_ = sorted(told.items(), key=lambda pair: (-pair[1], pair[0] is None, pair[0] or ()))
    share = votes / len(counts)
    if signature is None or share < LEAST_AGREED:
        return None, 0.0
    return signature, share * float(_probabilities(logits, downbeats).mean())


def with_heard(found: Parameters, heard: HeardRhythm | None) -> Parameters:
    """Parameters in which the network's answers take the place of the estimator's, where it has one.

    If the estimator hears a compound metre at the same tempo, its metre stays: a network counts beats, and does not say
    into how many parts they divide.
    """
    if heard is None:
        return found
    told = dataclasses.replace(
        found,
        tempo_bpm=heard.tempo_bpm,
        tempo_confidence=heard.tempo_confidence,
        tempo_alternative_bpm=heard.tempo_alternative_bpm,
        tempo_alternative_weight=heard.tempo_alternative_weight,
    )
    is_same = found.tempo_bpm is not None and abs(heard.tempo_bpm / found.tempo_bpm - 1) <= SAME_TEMPO
    if heard.signature is None or (found.beat_unit == 8 and is_same):
        return told
    beats, unit = heard.signature
    return dataclasses.replace(told, beats_per_bar=beats, beat_unit=unit, metre_confidence=heard.metre_confidence)
