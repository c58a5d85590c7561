"""What the key classifier sees: chroma of four registers, chords, and arrivals by a falling fifth."""

import numpy as np

from transforms.features.parameters.pitch import LOWEST_MIDI, FloatRows, PitchGrid, without_harmonics

REGISTERS = (0, 2, 3, 4)
"""Octaves of the grid at which registers begin: G1, G3, G4, G5."""
COMPRESSION, LEVEL_POWER, CHORD_SHARPNESS = 0.5, 0.6, 12.0
_TURNS = (np.arange(12)[:, None] + np.arange(12)) % 12
_TRIADS = np.concatenate(
    [np.isin((np.arange(12)[:, None] - np.arange(12)) % 12, steps) / np.sqrt(3) for steps in ((0, 4, 7), (0, 3, 7))],
    axis=1,
)
"""Unit vectors of the major and minor triads, float64 [12, 24]."""
ROWS = 9
"""Chroma of four registers, chroma of all, major and minor chords, arrivals at major and minor chords."""


def tonal_rows(grid: PitchGrid) -> FloatRows:
    """Features that turn with the tonic, float64 [ROWS, 12], column 0 is C."""
    notes = without_harmonics(grid.notes) ** COMPRESSION * (grid.levels**LEVEL_POWER)[:, None]
    octaves = np.roll(notes.reshape(len(notes), -1, 12), LOWEST_MIDI % 12, axis=2)
    chroma = np.add.reduceat(octaves, REGISTERS, axis=1)
    registers = chroma.sum(axis=0)
    likely = _chords(chroma.sum(axis=1))
    weights = grid.levels**LEVEL_POWER
    chords = 3 * (likely * weights[:, None]).sum(axis=0) / weights.sum()
    return np.concatenate(
        [unit_rows(registers), unit_rows(registers.sum(axis=0)[None]), chords.reshape(2, 12), _arrivals(likely, grid)]
    )


def turned(rows: FloatRows) -> FloatRows:
    """Features as each of the 12 pitch classes hears them as the tonic, float64 [..., 12, ROWS * 12]."""
    return np.moveaxis(rows[..., _TURNS], -2, -3).reshape(*rows.shape[:-2], 12, -1)


def unit_rows(rows: FloatRows) -> FloatRows:
    """Rows [..., n] divided by their lengths."""
    return np.asarray(rows / np.maximum(np.sqrt(np.vecdot(rows, rows)), 1e-9)[..., None], np.float64)


def _chords(chroma: FloatRows) -> FloatRows:
    """Softmax over the 12 major and 12 minor triads in each frame, float64 [frames, 24]."""
    joined = unit_rows(chroma) @ _TRIADS
    likely = np.exp(CHORD_SHARPNESS * (joined - joined.max(axis=1, keepdims=True)))
    return np.asarray(likely / likely.sum(axis=1, keepdims=True), np.float64)


def _arrivals(likely: FloatRows, grid: PitchGrid) -> FloatRows:
    """How often a chord is reached from the root a fifth above it within two frames, float64 [2, 12]."""
    dominant = np.roll(likely[:, :12] + likely[:, 12:], -7, axis=1)[:, None]
    chords = likely.reshape(-1, 2, 12)
    one = grid.follows[1:]
    two = one[1:] & one[:-1]
    total = (dominant[:-1] * chords[1:])[one].sum(axis=0) + (dominant[:-2] * chords[2:])[two].sum(axis=0)
    return np.asarray(3 * total / len(likely), np.float64)
