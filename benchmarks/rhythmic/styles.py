"""Pieces made by rule in many styles: drums, bass, chords and a melody over one bar's grid."""

# ruff: noqa: E501 (a style is a line of the table)

import dataclasses
import random

from benchmarks.rhythmic.render import DRUMS, Note, Piece, humanised

KICK, SNARE, CLAP, HAT, OPEN, RIDE, SIDE, SHAKER, TOM = 36, 38, 39, 42, 46, 51, 37, 70, 45
BASS, CHORDS, MELODY = 0, 1, 2
_BASSES, _GUITARS = (32, 33, 34, 35, 36, 38, 39), (24, 25, 26, 27, 28, 29, 30)
_KEYS, _PADS, _LEADS = (0, 1, 4, 5, 6, 16, 19), (48, 49, 50, 52, 88, 89, 90), (56, 65, 68, 71, 73, 80, 81, 22, 40)


@dataclasses.dataclass(frozen=True)
class Style:
    """One bar as a grid: `x` strong, `o` soft, `.` nothing, `?` at random.

    `steps` grid steps a felt beat; a signature of beats and unit; tempo limits in felt beats a minute.
    """

    name: str
    low_bpm: float
    high_bpm: float
    signature: tuple[int, int]
    steps: int
    drums: dict[int, tuple[str, ...]]
    bass: tuple[str, ...]
    chords: tuple[str, ...]
    chord_bars: tuple[float, ...] = (1, 1, 2, 0.5)
    swing: float = 0.0
    drumless: float = 0.15
    programs: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] = (_BASSES, _GUITARS + _KEYS + _PADS, _LEADS)

    @property
    def beats(self) -> int:
        """Felt beats a bar: of compound metres, a third of the signature's."""
        beats, unit = self.signature
        return beats // 3 if unit == 8 and beats % 3 == 0 else beats


_FOUR, _ALL8, _OFF8 = "x...x...x...x...", "x.o.x.o.x.o.x.o.", "..x...x...x...x."
_FULL = "xooxxooxxooxxoox"
_PIANO = ((0, 1, 4, 6, 11, 46),) * 3
_ORCHESTRA = ((42, 43, 58, 70), (48, 46, 45, 0, 60, 49), (40, 68, 71, 73, 41, 56))
_CHIP = ((38, 39, 80, 87), (80, 81, 90, 5, 12), (80, 81, 82, 84))

STYLES = (
    Style("rock", 90, 160, (4, 4), 4, {KICK: ("x.......x.?.....", "x.....x.x.......", "x..x....x.x....."), SNARE: ("....x.......x...",), HAT: (_ALL8, "x.x.x.x.x.x.x.x.")}, (_ALL8, "x...x.x.x...x.x."), ("x...x...x...x...", _ALL8, "x..x..x.x..x..x.")),
    Style("punk", 150, 210, (4, 4), 4, {KICK: ("x...x...x...x...", "x.....x.x.....x."), SNARE: ("....x.......x...",), HAT: ("x.x.x.x.x.x.x.x.", _FOUR)}, ("x.x.x.x.x.x.x.x.",), ("x.x.x.x.x.x.x.x.",), programs=(_BASSES, (29, 30), (29, 30, 81))),
    Style("metal", 120, 210, (4, 4), 4, {KICK: ("x.x.x.x.x.x.x.x.", "xxxxxxxxxxxxxxxx", "x..xx..xx..xx..x"), SNARE: ("....x.......x...", "........x......."), OPEN: (_FOUR, _ALL8)}, (_ALL8, "x.xxx.xxx.xxx.xx"), ("x.xxx.xxx.xxx.xx", "xxxxxxxxxxxxxxxx", _ALL8), programs=((33, 34, 36), (29, 30), (30, 48, 81))),
    Style("pop ballad", 58, 92, (4, 4), 4, {KICK: ("x.......x.x.....", "x......xx......."), SNARE: ("....x.......x...",), HAT: (_ALL8, _FULL)}, ("x.......x.......", "x.....x.x......."), ("x...............", _FOUR, _ALL8), drumless=0.3),
    Style("house", 116, 132, (4, 4), 4, {KICK: (_FOUR,), CLAP: ("....x.......x...",), OPEN: (_OFF8,), HAT: ("xoxoxoxoxoxoxoxo", "................")}, ("..x...x...x...x.", "x..x..x.x..x..x.", _ALL8), ("x..x..x...x..x..", "..x...x...x...x.", "x..............."), drumless=0.0),
    Style("techno", 125, 150, (4, 4), 4, {KICK: (_FOUR,), HAT: (_OFF8, "oxoxoxoxoxoxoxox"), CLAP: ("................", "....x.......x...")}, (".xxx.xxx.xxx.xxx", _ALL8), ("x..x..x..x..x...", "................"), (4, 2), drumless=0.0),
    Style("hip-hop", 76, 104, (4, 4), 4, {KICK: ("x.....x...x.....", "x..x......x..x..", "x.......x.x....."), SNARE: ("....x.......x...",), HAT: (_ALL8, _FULL, "x.x.x.xxx.x.x.x.")}, ("x.....x...x.....", "x..x......x....."), ("x...............", "..x.....x......."), (2, 1), 0.1, 0.0),
    Style("trap", 62, 80, (4, 4), 8, {KICK: ("x..........x........x...........",), SNARE: ("........x...............x.......",), HAT: ("x.x.x.x.x.x.xxxxx.x.x.x.x.xxx.x.",)}, ("x..........x........x...........",), ("x...............................",), (2, 1), drumless=0.0),
    Style("drum and bass", 160, 180, (4, 4), 4, {KICK: ("x.........x.....", "x.........x..x.."), SNARE: ("....x.......x...", "....x..o.o..x..o"), HAT: (_ALL8, _FULL)}, ("x.....x...x.....", "x..............."), ("x...............",), (2, 4), drumless=0.0),
    Style("disco", 108, 130, (4, 4), 4, {KICK: (_FOUR,), SNARE: ("....x.......x...",), HAT: (_FULL,), OPEN: (_OFF8,)}, ("x.o.x.o.x.o.x.o.", "x..xx..xx..xx..x"), ("..x...x...x...x.", "x.xxx.xxx.xxx.xx"), drumless=0.0),
    Style("funk", 90, 118, (4, 4), 4, {KICK: ("x..x..x...x..x..", "x.x.......x..x.."), SNARE: ("....x..o.o..x..o",), HAT: (_FULL, _ALL8)}, ("x..x..x.x..xx.x.", "x.xx..x...xx.x.."), ("..x..x....x..x..", "x.xx.x.xx.xx.x.x"), drumless=0.0),
    Style("reggae", 68, 92, (4, 4), 4, {KICK: ("........x.......",), SIDE: ("........x.......",), HAT: ("x.o.x.o.x.o.x.o.",)}, ("x..x..x...x.x...", "x.....x.x.x....."), ("....x.......x...", "..x...x...x...x."), drumless=0.1),
    Style("bossa", 60, 80, (4, 4), 8, {KICK: ("x.....x.x.....x.x.....x.x.....x.",), SIDE: ("x.....x.....x.......x.....x.....",), SHAKER: ("x.o.x.o.x.o.x.o.x.o.x.o.x.o.x.o.",)}, ("x.....x.x.....x.x.....x.x.....x.",), ("x.....x.....x.......x.....x.....",), (1,), drumless=0.3),
    Style("swing", 100, 200, (4, 4), 3, {RIDE: ("x..x.xx..x.x",), HAT: ("...x.....x..",), KICK: ("o..o..o..o..", "............")}, ("x..x..x..x..",), ("x....x......", "..x.....x...", ".....x......"), (1, 2, 0.5), 0.0, 0.25, ((32, 32, 33), (0, 4, 26), (65, 56, 66, 11, 57))),
    Style("shuffle", 80, 140, (4, 4), 3, {KICK: ("x.....x.....", "x....xx....."), SNARE: ("...x.....x..",), HAT: ("x.ox.ox.ox.o",)}, ("x..x..x..x..", "x.ox.ox.ox.o"), ("x.ox.ox.ox.o", "x..x..x..x.."), drumless=0.1),
    Style("march", 100, 124, (2, 4), 4, {KICK: ("x...x...",), SNARE: ("..x...x.", "x.xxx.x.", "xxx.xxx."), 49: ("........", "x.......")}, ("x...x...",), ("..x...x.",), (1, 2, 4), drumless=0.4, programs=((58, 70), (60, 57), (56, 73, 72))),
    Style("polka", 104, 132, (2, 4), 4, {KICK: ("x...x...",), HAT: ("..x...x.",)}, ("x...x...",), ("..x...x.",), (1, 2), drumless=0.5, programs=((58, 32), (21, 25), (21, 40, 71))),
    Style("waltz", 84, 190, (3, 4), 4, {KICK: ("x...........",), SNARE: ("....o...o...", "............"), HAT: ("....x...x...",)}, ("x...........",), ("....x...x...", "x...x...x..."), (1, 1, 2), drumless=0.6, programs=(_ORCHESTRA[0] + _BASSES, _ORCHESTRA[1] + _KEYS + (21, 25), _ORCHESTRA[2] + (21,))),
    Style("rock in three", 90, 170, (3, 4), 4, {KICK: ("x...........", "x.......x..."), SNARE: ("....x...x...", "........x..."), HAT: ("x.o.x.o.x.o.", "x...x...x...")}, ("x...........", "x.o.x.o.x.o."), ("x.o.x.o.x.o.", "x...x...x..."), (1, 2)),
    Style("jazz waltz", 110, 180, (3, 4), 3, {RIDE: ("x..x.xx..", "x..x.xx.x"), HAT: ("...x.....",), KICK: ("x........",)}, ("x........", "x..x..x.."), ("x....x...", "...x....."), (1, 2), 0.0, 0.2, ((32, 32), (0, 4, 26), (65, 56, 11))),
    Style("ballad in six", 44, 76, (6, 8), 6, {KICK: ("x...........", "x.........x."), SNARE: ("......x.....",), HAT: ("x.o.o.x.o.o.",)}, ("x.....x.....", "x..........."), ("x.o.o.o.o.o.", "x.o.o.x.o.o.", "x....."), (1, 2), drumless=0.3),
    Style("blues in twelve", 50, 80, (12, 8), 3, {KICK: ("x.....x.....", "x....xx....."), SNARE: ("...x.....x..",), HAT: ("xooxooxooxoo",)}, ("x..x..x..x..", "x.ox.ox.ox.o"), ("xooxooxooxoo", "x..x..x..x.."), drumless=0.2),
    Style("jig", 96, 132, (6, 8), 3, {KICK: ("x..x..",), SHAKER: ("xooxoo",), SNARE: ("......", "..x..x")}, ("x..x..", "x....."), ("x.xx.x", "..x..x", "x..x.."), (1, 0.5, 2), drumless=0.7, programs=((32, 43, 58), (25, 21, 0, 46), (40, 73, 21, 22, 110))),
    Style("five", 90, 180, (5, 4), 4, {KICK: ("x.........x.........", "x...........x......."), SNARE: ("........x.......x...", "......x.........x..."), HAT: ("x.o.x.o.x.o.x.o.x.o.", "x...x...x...x...x...")}, ("x.........x.........", "x...........x...x..."), ("x.....x.....x...x...", "x..............."), (1, 2)),
    Style("alberti", 66, 150, (4, 4), 4, {}, ("x...............",), ("x.o.x.o.x.o.x.o.", "xoxoxoxoxoxoxoxo"), (1, 0.5), drumless=1.0, programs=_PIANO),
    Style("arpeggios in three", 70, 150, (3, 4), 4, {}, ("x...........",), ("x.o.o.o.o.o.", "x...o...o...", "xooooooooooo"), (1,), drumless=1.0, programs=_PIANO),
    Style("arpeggios in six", 40, 80, (6, 8), 6, {}, ("x.....x.....", "x..........."), ("x.o.o.o.o.o.", "x.o.o.x.o.o.", "xooooooooooo"), (1, 0.5), drumless=1.0, programs=_PIANO),
    Style("orchestra", 70, 150, (4, 4), 4, {49: ("x...............", "................"), TOM: ("x.......x.......", "x...x...x.x.x.x.")}, ("x...x...x...x...", "x.......x......."), ("x...............", _ALL8, "x..x..x.x..x..x."), (1, 2), drumless=0.6, programs=_ORCHESTRA),
    Style("game", 100, 190, (4, 4), 4, {KICK: ("x...x...x...x...", "x.......x.x....."), SNARE: ("....x.......x...",), HAT: (_ALL8, _FULL)}, (_ALL8, "x.xxx.xxx.xxx.xx", "x..x..x.x..x..x."), (_FULL, _ALL8, "x..x..x..x..x.x."), (1, 2), drumless=0.35, programs=_CHIP),
    Style("tango", 56, 70, (4, 4), 4, {}, ("x...x...x...x...", "x..xx.x.x..xx.x."), ("x..xx.x.x..xx.x.", _FOUR), (1, 2), drumless=1.0, programs=((32, 43), (0, 21), (21, 40))),
)  # fmt: skip


def make(style: Style, seed: int, length_s: float = 40.0) -> Piece:
    """One piece of a style: the same for the same seed."""
    rng = random.Random(f"{style.name}/{seed}")
    bpm = style.low_bpm * (style.high_bpm / style.low_bpm) ** min(1.0, max(0.0, rng.gauss(0.5, 0.28)))
    parts = _Parts(style, rng, bpm, length_s)
    programs = dict(zip((BASS, CHORDS, MELODY), (rng.choice(each) for each in style.programs), strict=True))
    spread = rng.choice((0.0, 0.004, 0.008, 0.014))
    return Piece(
        f"{style.name} {seed}", style.name, bpm, *style.signature, programs, humanised(parts.notes(), spread, rng),
        steady=parts.steady,
    )  # fmt: skip


class _Parts:
    """Chosen patterns and a chord sequence, written out bar by bar."""

    def __init__(self, style: Style, rng: random.Random, bpm: float, length_s: float) -> None:
        self._style, self._rng, self._length_s = style, rng, length_s
        self._bar_steps = style.beats * style.steps
        self._step_s = 60 / bpm / style.steps
        self._drift = rng.choice((0.0,) * 6 + (0.01, 0.03))
        self.steady = self._drift < 0.02
        self._offset_s = rng.uniform(0, 0.6)
        self._drums = {} if rng.random() < style.drumless else {d: rng.choice(p) for d, p in style.drums.items()}
        self._bass, self._chords = rng.choice(style.bass), rng.choice(style.chords)
        self._chord_steps = int(rng.choice(style.chord_bars) * self._bar_steps)
        self._roots = [rng.choice((0, 2, 4, 5, 7, 9, 0, 5, 7)) for _ in range(4)]
        self._key = rng.randrange(12)
        self._density = rng.choice((0.0, 0.25, 0.45, 0.7))
        self._arpeggio = rng.random() < 0.4
        self._riff = [rng.random() for _ in range(self._bar_steps * 2)]

    def notes(self) -> list[Note]:
        notes: list[Note] = []
        step, at = 0, self._offset_s
        while at < self._length_s:
            duration = self._step_s * (1 + self._drift * self._rng.gauss(0, 1))
            swung = at + (duration * self._style.swing if step % 2 and self._style.steps == 4 else 0)
            notes += self._at(step, swung)
            at, step = at + duration, step + 1
        return notes

    def _at(self, step: int, at: float) -> list[Note]:
        place, notes = step % self._bar_steps, []
        for drum, pattern in self._drums.items():
            if velocity := self._velocity(pattern, place):
                notes.append(Note(at, 0.1, DRUMS, drum, velocity))
        root = self._roots[step // max(1, self._chord_steps) % 4]
        if (velocity := self._velocity(self._bass, place)) or step % max(1, self._chord_steps) == 0:
            notes.append(Note(at, self._step_s * 2.5, BASS, 36 + (self._key + root) % 12, velocity or 95))
        if velocity := self._velocity(self._chords, place):
            notes += self._chord(at, root, velocity, step)
        return notes + self._tune(at, root, step)

    def _velocity(self, pattern: str, place: int) -> int:
        mark = pattern[place % len(pattern)]
        if mark == "?":
            mark = self._rng.choice("x.")
        return {"x": 100, "o": 68, ".": 0}[mark]

    def _chord(self, at: float, root: int, velocity: int, step: int) -> list[Note]:
        minor = root in (2, 4, 9)
        tones = [60 + (self._key + root) % 12 + interval for interval in (0, 3 if minor else 4, 7)]
        if self._arpeggio or self._style.drumless == 1.0:
            tones = [tones[step % 3]]
        return [Note(at, self._step_s * 1.8, CHORDS, tone, velocity - 15) for tone in tones]

    def _tune(self, at: float, root: int, step: int) -> list[Note]:
        """A melody that repeats every two bars and falls on beats more often than between them."""
        place = step % len(self._riff)
        on_beat = step % self._style.steps == 0
        half = self._style.steps % 2 == 0 and step % (self._style.steps // 2) == 0
        chance = self._density * (1.2 if on_beat else 0.8 if half or self._style.steps == 3 else 0.25)
        if self._riff[place] > chance:
            return []
        degree = (0, 2, 4, 5, 7, 9, 11, 12)[int(self._riff[place] * 997) % 8] if not on_beat else (0, 4, 7)[place % 3]
        length = self._step_s * self._rng.choice((1, 2, 2, 4))
        return [
            Note(at, length, MELODY, 66 + (self._key + (root if on_beat else 0) + degree) % 14, 92 if on_beat else 82)
        ]
