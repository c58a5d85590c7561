"""Composes short pieces of a known key."""

import dataclasses

import numpy as np

from transforms.features.parameters.keys import key_name

PIECE_S = 20.0

Chord = tuple[int, tuple[int, ...]]
"""Root above the tonic, and steps above the root, in semitones."""
Note = tuple[float, float, int, int, int]
"""Start and end in seconds, MIDI pitch, velocity, channel."""
M, N, D7, M7, N7, DIM, SUS, POWER = (
    (0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 4, 7, 11), (0, 3, 7, 10), (0, 3, 6), (0, 5, 7), (0, 7),
)  # fmt: skip
MAJOR: tuple[tuple[Chord, ...], ...] = (
    ((0, M), (5, M), (7, M), (0, M)),
    ((0, M), (7, M), (9, N), (5, M)),
    ((9, N), (5, M), (0, M), (7, M)),
    ((0, M), (9, N), (5, M), (7, D7)),
    ((0, M), (9, N), (2, N), (7, D7)),
    ((2, N7), (7, D7), (0, M7), (0, M7)),
    ((0, M7), (9, N7), (2, N7), (7, D7)),
    ((0, M), (4, N), (5, M), (7, M)),
    ((0, M), (2, D7), (7, D7), (0, M)),
    ((0, M), (0, D7), (5, M), (5, N), (0, M), (7, D7), (0, M), (7, M)),
    ((0, M), (7, M), (9, N), (4, N), (5, M), (0, M), (5, M), (7, M)),
    ((0, M), (10, M), (5, M), (0, M)),
    ((0, D7), (5, D7), (0, D7), (0, D7), (5, D7), (5, D7), (0, D7), (0, D7), (7, D7), (5, D7), (0, D7), (7, D7)),
    ((0, M), (4, D7), (9, N), (2, D7), (7, M), (7, D7), (0, M), (0, M)),
    ((5, M), (7, M), (0, M), (9, N)),
    ((0, SUS), (0, M), (7, SUS), (7, M)),
    ((0, POWER), (5, POWER), (7, POWER), (5, POWER)),
)
MINOR: tuple[tuple[Chord, ...], ...] = (
    ((0, N), (5, N), (7, M), (0, N)),
    ((0, N), (8, M), (3, M), (10, M)),
    ((0, N), (10, M), (8, M), (7, M)),
    ((0, N), (8, M), (10, M), (0, N)),
    ((0, N), (5, N), (8, M), (7, D7)),
    ((0, N), (5, M), (0, N), (5, M)),
    ((0, N7), (5, N7), (0, N7), (7, N7)),
    ((2, DIM), (7, D7), (0, N), (0, N)),
    ((0, N), (5, N), (10, M), (3, M), (8, M), (2, DIM), (7, D7), (0, N)),
    ((0, N), (0, N), (0, N), (10, M)),
    ((0, N), (7, N), (8, M), (10, M)),
    ((8, M), (10, M), (0, N), (0, N)),
    ((0, N), (3, M), (5, N), (7, D7)),
    ((0, POWER), (3, POWER), (5, POWER), (0, POWER)),
    ((0, POWER), (8, POWER), (10, POWER), (0, POWER)),
    ((0, N), (0, N), (0, N), (0, N)),
)
FOLLOWS: dict[str, tuple[tuple[Chord, tuple[Chord, ...]], ...]] = {
    "major": (
        ((0, M), ((5, M), (7, M), (9, N), (2, N), (4, N), (2, D7), (4, D7), (0, D7))),
        ((0, D7), ((5, M),)),
        ((2, N), ((7, M), (7, D7), (5, M))),
        ((2, D7), ((7, M), (7, D7))),
        ((4, N), ((9, N), (5, M))),
        ((4, D7), ((9, N),)),
        ((5, M), ((0, M), (7, M), (2, N), (7, D7))),
        ((7, M), ((0, M), (0, M), (9, N), (7, D7))),
        ((7, D7), ((0, M), (0, M), (9, N))),
        ((9, N), ((2, N), (5, M), (4, N), (2, D7), (0, M))),
    ),
    "minor": (
        ((0, N), ((5, N), (7, M), (8, M), (10, M), (2, DIM), (3, M), (0, D7))),
        ((0, D7), ((5, N),)),
        ((2, DIM), ((7, M), (7, D7))),
        ((3, M), ((8, M), (5, N), (10, M))),
        ((5, N), ((7, M), (0, N), (10, M), (7, D7))),
        ((7, M), ((0, N), (0, N), (8, M), (7, D7))),
        ((7, D7), ((0, N), (0, N), (8, M))),
        ((8, M), ((5, N), (2, DIM), (3, M), (10, M), (7, M))),
        ((10, M), ((3, M), (0, N), (8, M))),
    ),
}
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
HARMONY = (0, 1, 2, 4, 5, 6, 7, 16, 18, 19, 21, 24, 25, 26, 27, 29, 30, 46, 48, 49, 50, 52, 61, 62, 80, 81, 88, 89, 90)
LEADS = (0, 4, 9, 11, 12, 13, 22, 24, 26, 40, 41, 42, 52, 56, 57, 60, 64, 65, 66, 68, 71, 73, 74, 75, 80, 81, 82, 85)
BASSES = (32, 33, 34, 35, 36, 38, 39, 43, 0, 58)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """A composed piece: programs of channels 0 (chords), 1 (bass) and 2 (melody); `bend_cents` detunes all of it."""

    key: str
    notes: tuple[Note, ...]
    programs: tuple[int, ...]
    bend_cents: float


def compose(seed: int) -> Piece:
    """A piece of 20 s in a style drawn by `seed`; 24 seeds in a row meet every key.

    A sixth are tunes without accompaniment, a fifth are hymns (a chord on every beat, functional harmony with secondary
    dominants), and the rest are loops or functional progressions with any of chords, bass, melody and drums.
    """
    rng = np.random.default_rng(seed)
    tonic, mode = seed % 12, ("major", "minor")[seed // 12 % 2]
    beat = 60.0 / rng.uniform(65, 165)
    per_bar = int(rng.choice([3, 4, 4, 4]))
    style = rng.choice(["tune", "hymn", "loop", "functional"], p=[0.17, 0.2, 0.38, 0.25])
    notes = {"tune": _tune, "hymn": _hymn}.get(style, _band)(rng, tonic, mode, beat, per_bar, style)
    kept = tuple((a, min(b, PIECE_S), p, v, c) for a, b, p, v, c in notes if a < PIECE_S - 0.05)
    programs = tuple(int(rng.choice(group)) for group in (HARMONY, BASSES, LEADS))
    bend = float(rng.uniform(-45, 45)) if rng.random() < 0.25 else 0.0
    return Piece(key=key_name(tonic, mode), notes=kept, programs=programs, bend_cents=bend)


def _band(rng: np.random.Generator, tonic: int, mode: str, beat: float, per_bar: int, style: str) -> list[Note]:
    """Chords, bass, melody and drums, each of them in most pieces; the excerpt begins anywhere."""
    chords = _loop(rng, mode) if style == "loop" else _functional(rng, mode, 24)
    first = int(rng.integers(len(chords)))
    texture, bass_style = int(rng.integers(5)), int(rng.integers(4))
    parts = rng.random(4) < (0.9, 0.85, 0.75, 0.55)
    parts[0] |= not parts[1]
    level = [int(v) for v in rng.integers(55, 110, 4)]
    low, pitch = int(rng.integers(46, 60)), 72
    notes: list[Note] = []
    for bar in range(int(PIECE_S / (beat * per_bar)) + 1):
        root, shape = chords[(first + bar) % len(chords)]
        root += tonic
        start = bar * per_bar * beat
        if parts[0]:
            tones = [low + (root + step - low) % 12 for step in shape]
            notes += _harmony(start, beat, per_bar, tones, texture, level[0])
        if parts[1]:
            notes += _bass(start, beat, per_bar, 33 + (root - 33) % 12, bass_style, level[1])
        if parts[2]:
            scale = _bar_scale(mode, tonic, root, shape)
            pitch, melody = _melody(rng, start, beat, per_bar, pitch, [(root + s) % 12 for s in shape], scale, level[2])
            notes += melody
        if parts[3]:
            notes += _drums(start, beat, per_bar, level[3])
    return notes


def _loop(rng: np.random.Generator, mode: str) -> list[Chord]:
    pool = MAJOR if mode == "major" else MINOR
    chords = list(pool[rng.integers(len(pool))])
    if rng.random() < 0.5:
        chords += pool[rng.integers(len(pool))]
    if rng.random() < 0.15:  # A visit to the dominant, then home again.
        chords += [((r + 7) % 12, s) for r, s in pool[rng.integers(len(pool))][:4]] + chords[:4]
    return chords


def _functional(rng: np.random.Generator, mode: str, length: int) -> list[Chord]:
    """A walk from the tonic over chords that usually follow one another; it comes home at the end."""
    follows = FOLLOWS[mode]
    chords = [follows[0][0]]
    while len(chords) < length - 2:
        choices = next(nexts for chord, nexts in follows if chord == chords[-1])
        chords.append(choices[rng.integers(len(choices))])
    return [*chords, (7, D7), follows[0][0]]


def _hymn(rng: np.random.Generator, tonic: int, mode: str, beat: float, per_bar: int, style: str) -> list[Note]:
    """Four voices that move on every beat or every second."""
    size = beat * float(rng.choice([1, 1, 2]))
    steps = int(PIECE_S / size) + 1
    phrase = int(rng.choice([8, 12, 16]))
    chords = [c for _ in range(steps // phrase + 1) for c in _functional(rng, mode, phrase)]
    level, soprano = int(rng.integers(60, 105)), 72
    notes: list[Note] = []
    for step in range(steps):
        root, shape = chords[step]
        tones = [(tonic + root + s) % 12 for s in shape]
        near = [p for p in range(soprano - 5, soprano + 6) if p % 12 in tones and 62 <= p <= 81]
        soprano = int(rng.choice(near))
        bass = tones[0] if rng.random() < 0.7 else tones[1]
        voices = [soprano, 40 + (bass - 40) % 12, *(52 + (t - 52) % 12 for t in tones[:3])]
        notes += [(step * size, (step + 0.95) * size, p, level, 0) for p in voices]
        if rng.random() < 0.3:  # A passing note.
            scale = {(tonic + s) % 12 for s in SCALES[mode]}
            passing = [p for p in (soprano - 2, soprano - 1, soprano + 1, soprano + 2) if p % 12 in scale]
            notes.append(((step + 0.5) * size, (step + 0.95) * size, int(rng.choice(passing or [soprano])), level, 0))
    return notes


def _tune(rng: np.random.Generator, tonic: int, mode: str, beat: float, per_bar: int, style: str) -> list[Note]:
    """One voice over implied chords: arpeggios of tonic and dominant joined by steps, phrases that end on the tonic."""
    five = (7, M) if mode == "major" or rng.random() < 0.5 else (7, N)
    home = (0, M) if mode == "major" else (0, N)
    other = ((5, M), (9, N), (2, N)) if mode == "major" else ((10, M), (3, M), (5, N))
    bars = [home, home, other[rng.integers(3)], five, home, other[rng.integers(3)], five, home]
    level, pitch, channel = int(rng.integers(60, 105)), 69 + int(rng.integers(-5, 8)), 2
    pentatonic = mode == "major" and rng.random() < 0.3
    notes: list[Note] = []
    for bar in range(int(PIECE_S / (beat * per_bar)) + 1):
        root, shape = bars[bar % 8]
        scale = _bar_scale(mode, tonic, tonic + root, shape)
        if pentatonic:
            scale = {(tonic + s) % 12 for s in (0, 2, 4, 7, 9)}
        chord = [(tonic + root + s) % 12 for s in shape]
        start = bar * per_bar * beat
        pitch, melody = _melody(rng, start, beat, per_bar, pitch, chord, scale, level)
        notes += [(a, b, p, v, channel) for a, b, p, v, _ in melody]
        if bar % 8 == 7:
            pitch = 60 + (tonic - 60) % 12 + (12 if tonic < 6 else 0)
            notes = [n for n in notes if n[0] < start + (per_bar - 2) * beat]
            notes.append((start + (per_bar - 2) * beat, start + per_bar * beat, pitch, level, channel))
    return notes


def _bar_scale(mode: str, tonic: int, root: int, shape: tuple[int, ...]) -> set[int]:
    """The mode's scale where the chord's own tones replace their chromatic neighbours."""
    scale = {(tonic + s) % 12 for s in SCALES[mode]}
    for tone in {(root + s) % 12 for s in shape} - scale:
        scale -= {(tone - 1) % 12} if len(scale) > 6 else set()
        scale.add(tone)
    return scale


def _harmony(start: float, beat: float, per_bar: int, tones: list[int], texture: int, level: int):
    if texture == 0:
        return [(start, start + per_bar * beat * 0.97, p, level, 0) for p in tones]
    if texture == 1:
        return [(start + b * beat, start + (b + 0.8) * beat, p, level, 0) for b in range(per_bar) for p in tones]
    if texture == 2:
        order = (tones + tones[::-1])[: 2 * per_bar]
        steps = [order[i % len(order)] for i in range(2 * per_bar)]
        return [(start + i * beat / 2, start + (i + 1.2) * beat / 2, p, level, 0) for i, p in enumerate(steps)]
    if texture == 3:
        steps = [tones[(0, -1, 1, -1)[i % 4]] for i in range(2 * per_bar)]
        return [(start + i * beat / 2, start + (i + 0.9) * beat / 2, p, level, 0) for i, p in enumerate(steps)]
    return [(start + (b + 0.5) * beat, start + (b + 0.8) * beat, p, level, 0) for b in range(per_bar) for p in tones]


def _bass(start: float, beat: float, per_bar: int, root: int, style: int, level: int):
    steps = {0: [0], 1: [0] * per_bar, 2: [0, 7] * 2, 3: [0, 0, 7, 12] * 2}[style]
    size = per_bar * beat / len(steps)
    return [(start + i * size, start + (i + 0.9) * size, root + s, level, 1) for i, s in enumerate(steps)]


def _melody(rng, start: float, beat: float, per_bar: int, pitch: int, chord: list[int], scale: set[int], level: int):
    notes, at = [], 0.0
    while at < per_bar - 1e-6:
        size = float(rng.choice([0.5, 0.5, 1.0, 1.0, 1.5, 2.0]))
        allowed = set(chord) if at % 2 == 0 and rng.random() < 0.8 else scale
        near = [p for p in range(pitch - 5, pitch + 6) if p % 12 in allowed and 58 <= p <= 88] or [72]
        pitch = int(rng.choice(near))
        if rng.random() < 0.85:
            notes.append((start + at * beat, start + (at + size * 0.95) * beat, pitch, level, 2))
        at += size
    return pitch, notes


def _drums(start: float, beat: float, per_bar: int, level: int):
    hits = [(b + half, 42) for b in range(per_bar) for half in (0, 0.5)]
    hits += [(b, 36 if b % 2 == 0 else 38) for b in range(per_bar)]
    return [(start + at * beat, start + (at + 0.2) * beat, p, level, 9) for at, p in hits]
