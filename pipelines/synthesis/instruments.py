"""Synthetic instruments: notes as arrays, for catalogs whose tags are known by construction.

Every function returns one note as float32 [samples] with a peak of about 1. Frequencies and rates are in Hz, lengths in
seconds. `tilt` is the exponent of the harmonics' decay: a larger value is duller.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Note = NDArray[np.float32]

VOWELS = {
    "a": ((800.0, 1.0), (1150.0, 0.63), (2900.0, 0.1)),
    "e": ((400.0, 1.0), (1700.0, 0.35), (2600.0, 0.15)),
    "i": ((290.0, 1.0), (2200.0, 0.25), (3000.0, 0.2)),
    "o": ((450.0, 1.0), (800.0, 0.5), (2830.0, 0.08)),
}
"""Formants of sung vowels: (centre in Hz, linear gain), the strongest first."""


def envelope(samples: int, rate: int, attack_s: float, release_s: float) -> Note:
    """A gain curve that rises over `attack_s`, stays at 1 and falls over `release_s`; float32 [samples]."""
    times = np.arange(samples, dtype=np.float32) / rate
    left = samples / rate - times
    return np.minimum(np.minimum(times / attack_s, left / release_s), 1.0).astype(np.float32)


def harmonics(frequency: NDArray[np.float64], gains: NDArray[np.float64], rate: int) -> Note:
    """Sum of the harmonics of a gliding fundamental.

    Args:
      frequency: frequency of the fundamental at each sample, in Hz [samples].
      gains: linear gain of each harmonic [harmonics]; harmonics above 45 % of the rate are left out.
      rate: samples per second.
    """
    phase = 2 * np.pi * np.cumsum(frequency) / rate
    kept = int(min(len(gains), 0.45 * rate / frequency.max()))
    rotation = np.exp(1j * phase)
    partial, total = np.ones_like(rotation), np.zeros(len(phase))
    for gain in gains[:kept]:
        partial = partial * rotation
        total += gain * partial.imag
    return np.asarray(total / max(np.abs(total).max(initial=0.0), 1e-9), np.float32)


def _constant(frequency: float, seconds: float, rate: int) -> NDArray[np.float64]:
    return np.full(max(int(seconds * rate), 8), frequency)


def pluck(frequency: float, seconds: float, rate: int, tilt: float, rng: np.random.Generator) -> Note:
    """A plucked string: noise in a delay line that loses its treble at each turn (Karplus and Strong, 1983)."""
    period = max(int(rate / frequency - 0.5), 2)
    turns = int(seconds * rate) // period + 1
    excitation = rng.uniform(-1, 1, period)
    # Smooth the excitation, which corresponds to plucking further from the bridge: the string sounds duller.
    for _ in range(round(4 * tilt)):
        excitation = 0.5 * (excitation + np.roll(excitation, 1))
    line = np.empty((turns, period))
    excitation -= excitation.mean()
    line[0] = excitation / max(np.abs(excitation).max(), 1e-9)
    for turn in range(1, turns):
        line[turn] = 0.498 * (line[turn - 1] + np.roll(line[turn - 1], 1))
    note = line.ravel()[: int(seconds * rate)].astype(np.float32)
    return note * envelope(len(note), rate, 0.002, 0.02)


def organ(frequency: float, seconds: float, rate: int, tilt: float, rng: np.random.Generator) -> Note:
    """A pipe organ's octave and quint ranks, with a soft chorus of two pipes slightly apart."""
    ranks = np.zeros(16)
    ranks[[0, 1, 2, 3, 5, 7, 11, 15]] = np.array([1.0, 0.9, 0.6, 0.6, 0.4, 0.4, 0.25, 0.25])
    gains = ranks / np.arange(1, 17) ** (0.5 * tilt)
    apart = 1 + rng.uniform(0.001, 0.003)
    pipes = [harmonics(_constant(frequency * factor, seconds, rate), gains, rate) for factor in (1.0, apart)]
    return 0.5 * (pipes[0] + pipes[1]) * envelope(len(pipes[0]), rate, 0.03, 0.08)


def flute(frequency: float, seconds: float, rate: int, tilt: float, rng: np.random.Generator) -> Note:
    """A flute: few harmonics, a slow vibrato that begins gradually, and breath noise."""
    times = np.arange(max(int(seconds * rate), 8)) / rate
    glide = frequency * (1 + 0.006 * np.minimum(times / 0.5, 1) * np.sin(2 * np.pi * 4.5 * times))
    tone = harmonics(glide, np.array([1.0, 0.35, 0.12, 0.05]) ** (0.6 + 0.4 * tilt), rate)
    breath = np.convolve(rng.standard_normal(len(tone)), np.ones(4) / 4, mode="same")
    return ((tone + 0.06 * breath) * envelope(len(tone), rate, 0.07, 0.1)).astype(np.float32)


def bell(frequency: float, seconds: float, rate: int, tilt: float, rng: np.random.Generator) -> Note:
    """A bell by frequency modulation: an inharmonic ratio, and an index that decays with the sound."""
    times = np.arange(max(int(seconds * rate), 8)) / rate
    index = 5.0 / tilt * np.exp(-times * 2.5)
    modulator = np.sin(2 * np.pi * frequency * 3.5 * times + rng.uniform(0, 0.1))
    note = np.exp(-times * 2.0) * np.sin(2 * np.pi * frequency * 2 * times + index * modulator)
    return (note * envelope(len(note), rate, 0.002, 0.05)).astype(np.float32)


def bass(frequency: float, seconds: float, rate: int, tilt: float, rng: np.random.Generator) -> Note:
    """A bass synthesiser: a sawtooth whose treble decays within the note."""
    times = np.arange(max(int(seconds * rate), 8)) / rate
    drift = frequency * (1 + rng.uniform(-0.001, 0.001))
    open_ = harmonics(np.full(len(times), drift), 1 / np.arange(1, 25) ** (0.6 * tilt), rate)
    closed = harmonics(np.full(len(times), drift), 1 / np.arange(1, 7) ** 1.5, rate)
    share = np.exp(-times * 9)
    return ((share * open_ + (1 - share) * closed) * envelope(len(times), rate, 0.005, 0.04)).astype(np.float32)


def voice(frequency: float, seconds: float, rate: int, tilt: float, rng: np.random.Generator) -> Note:
    """A sung vowel: harmonics with vibrato, shaped by formants; `tilt` also lowers the formants."""
    times = np.arange(max(int(seconds * rate), 8)) / rate
    vibrato = np.minimum(times / 0.25, 1) * np.sin(2 * np.pi * rng.uniform(5, 6) * times)
    knots = np.arange(0, seconds + 0.1, 0.05)
    jitter = np.interp(times, knots, rng.normal(0, 0.002, len(knots)))
    glide = frequency * (1 + 0.018 * vibrato + jitter)
    overtones = frequency * np.arange(1, 41)
    vowel = VOWELS[str(rng.choice(sorted(VOWELS)))]
    throat = 1.25 - 0.2 * tilt
    gains = np.full(40, 0.003)
    for centre, gain in vowel:
        gains += gain / (1 + ((overtones - centre * throat) / 90) ** 2)
    note = harmonics(glide, gains / np.arange(1, 41) ** 0.3, rate)
    return note * envelope(len(note), rate, 0.06, 0.08)


def kick(rate: int, tilt: float) -> Note:
    """A bass drum, 0.25 s: a sine that falls from 160 to 45 Hz."""
    times = np.arange(int(0.25 * rate)) / rate
    sweep = 45 * times + 115 / 28 * (1 - np.exp(-28 * times))
    return (np.sin(2 * np.pi * sweep) * np.exp(-times * (8 + 4 / tilt))).astype(np.float32)


def snare(rate: int, tilt: float, rng: np.random.Generator) -> Note:
    """A snare drum, 0.2 s: a short tone under decaying noise."""
    times = np.arange(int(0.2 * rate)) / rate
    tone = 0.5 * np.sin(2 * np.pi * 190 * times) * np.exp(-times * 30)
    return (tone + 0.6 / tilt * rng.standard_normal(len(times)) * np.exp(-times * 22)).astype(np.float32)


def hat(rate: int, tilt: float, rng: np.random.Generator) -> Note:
    """A closed hi-hat, 0.06 s: noise without its low half."""
    times = np.arange(int(0.06 * rate)) / rate
    noise = np.diff(rng.standard_normal(len(times) + 1))
    return (0.4 / tilt * noise * np.exp(-times * 70)).astype(np.float32)


PITCHED: dict[str, Callable[[float, float, int, float, np.random.Generator], Note]] = {
    "guitar": pluck,
    "organ": organ,
    "flute": flute,
    "bells": bell,
    "bass": bass,
    "voice": voice,
}
"""Name in tags -> function, for the instruments that play notes."""
