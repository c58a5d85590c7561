"""Bars of drums and tones of known tempo and metre, made with numpy alone."""

import numpy as np

RATE_HZ = 16_000
# One string for each step: K bass drum, S snare, h hi-hat, . nothing.
ROCK = ("Kh", "h", "Sh", "h", "Kh", "Kh", "Sh", "h")
HOUSE = ("K", "h", "KS", "h", "K", "h", "KS", "h")
WALTZ = ("K", ".", "Sh", ".", "Sh", ".")
SIX = ("Kh", "h", "h", "Sh", "h", "h")
CLICKS = ("h",)


def pattern(bpm, strokes, steps=2, seconds=20.0, chords=True, seed=0):
    """Float32 mono [seconds * 16000]: `strokes` over and over, `steps` of them a beat, a chord at each repetition."""
    rng = np.random.default_rng(seed)
    samples = np.zeros(int(seconds * RATE_HZ) + RATE_HZ)
    step = 60 / bpm / steps * RATE_HZ
    for number in range(int(seconds * RATE_HZ / step)):
        at = int(number * step)
        for name in strokes[number % len(strokes)].replace(".", ""):
            sound = SOUNDS[name](rng)
            samples[at : at + len(sound)] += sound
        if chords and number % len(strokes) == 0:
            sound = _chord(number // len(strokes), min(len(strokes) * step / RATE_HZ, 2.0))
            samples[at : at + len(sound)] += sound[: len(samples) - at]
    samples = samples[: int(seconds * RATE_HZ)]
    return (0.5 * samples / np.abs(samples).max()).astype(np.float32)


def _time(seconds):
    return np.arange(int(seconds * RATE_HZ)) / RATE_HZ


def _kick(rng):
    time = _time(0.15)
    return 1.2 * np.sin(2 * np.pi * (50 * time - 8 * np.exp(-time * 40) / 4)) * np.exp(-time * 25)


def _snare(rng):
    time = _time(0.12)
    return (0.6 * rng.standard_normal(len(time)) + 0.5 * np.sin(2 * np.pi * 190 * time)) * np.exp(-time * 35)


def _hat(rng):
    time = _time(0.05)
    return 0.35 * np.diff(rng.standard_normal(len(time) + 1)) * np.exp(-time * 90)


SOUNDS = {"K": _kick, "S": _snare, "h": _hat}


def _chord(number, seconds):
    time = _time(seconds)
    root = 110 * 2 ** ((0, 5, 7, 5)[number % 4] / 12)
    tones = sum(np.sin(2 * np.pi * root * ratio * time) for ratio in (1, 2, 2.52, 3))
    return 0.15 * tones * np.exp(-time * 1.5) * np.minimum(1, time * 100)
