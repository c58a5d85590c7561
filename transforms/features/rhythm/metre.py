"""Metre: four beats, three, compound or five, from how the excerpt repeats at multiples and parts of the beat."""

import functools

import numpy as np

from transforms.audio.samples import Float32
from transforms.features.rhythm.metre_weights import TABLE
from transforms.features.rhythm.network import Network, shares
from transforms.features.rhythm.periods import CELLS, CELLS_AN_OCTAVE, CHANNELS, cell

MULTIPLES = (1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 4 / 3, 3 / 2, 2, 5 / 2, 3, 4, 5, 6, 8, 9, 12)
SIGNATURES = ((4, 4), (3, 4), (6, 8), (5, 4))
"""What is told apart. 2/4 and 2/2 are told as 4/4, 3/2 as 3/4; 9/8 and 12/8 as 6/8: the beat has three parts."""


def names() -> list[str]:
    """What each input of the model is, in order."""
    of_periods = [f"{channel} at {multiple:.3g}" for multiple in MULTIPLES for channel in CHANNELS]
    return [*of_periods, "octaves above 100 bpm", "its square", "one"]


def inputs(periods: Float32, bpm: float) -> Float32:
    """Float32 [8 channels, 570 periods], `dilated`, and the tempo -> float32 [inputs]."""
    at = cell(60 / bpm) + np.array([round(CELLS_AN_OCTAVE * float(np.log2(multiple))) for multiple in MULTIPLES])
    octaves = float(np.log2(bpm / 100))
    values = periods[:, np.clip(at, 0, CELLS - 1)].T.ravel()
    return np.concatenate([values, np.array([octaves, octaves**2, 1], np.float32)]).astype(np.float32)


@functools.lru_cache(maxsize=1)
def _model() -> Network:
    return Network.of_table(TABLE, scores=len(SIGNATURES))


def estimate(periods: Float32, bpm: float) -> tuple[tuple[int, int], float]:
    """((beats a bar, unit), the model's belief in it)."""
    belief = shares(_model().scores(inputs(periods, bpm)))
    best = int(belief.argmax())
    return SIGNATURES[best], float(belief[best])
