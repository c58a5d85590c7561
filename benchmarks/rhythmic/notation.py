"""Tunes in ABC notation as pieces: the melody, alone or with an accompaniment made from the metre and the harmony."""

import dataclasses
import itertools
import pathlib
import random
import re
from collections.abc import Iterator
from fractions import Fraction

from benchmarks.rhythmic.render import Note, Piece, humanised

_TOKEN = re.compile(
    r'"(?P<chord>[^"]*)"|\{[^}]*\}|!(?:[^!]*)!|\+[a-z]+\+|(?P<inline>\[[A-Za-z]:[^\]]*\])|\((?P<tuplet>\d)(?::\d*)*'
    r"|(?P<bar>:?\|[|\]:]*|::|\[[12])|(?P<broken>[<>])|(?P<open>\[)|(?P<close>\])(?P<closelen>\d*/*\d*)"
    r"|(?P<acc>\^{1,2}|_{1,2}|=)?(?P<note>[A-Ga-gzx])(?P<octave>[,']*)(?P<length>\d*/*\d*)(?P<tie>-)?"
)
_PITCH = {"C": 60, "D": 62, "E": 64, "F": 65, "G": 67, "A": 69, "B": 71}
_MODES = {"": 0, "maj": 0, "ion": 0, "m": 3, "min": 3, "aeo": 3, "dor": -2 % 12, "mix": 5, "phr": -4 % 12, "lyd": 7}
_SHARPS = "FCGDAEB"
_MELODIES = (0, 21, 22, 40, 56, 64, 65, 68, 71, 73, 25, 110)
_BACKINGS = (0, 0, 21, 24, 25, 46, 48, 19, 6)
_BEATS = {  # felt beat of each signature in whole notes, and limits of its tempo where the tune states none
    "2/4": (Fraction(1, 4), 66, 126), "4/4": (Fraction(1, 4), 76, 168), "2/2": (Fraction(1, 2), 60, 112),
    "3/4": (Fraction(1, 4), 84, 180), "6/8": (Fraction(3, 8), 60, 126), "9/8": (Fraction(3, 8), 76, 126),
    "12/8": (Fraction(3, 8), 60, 120), "3/2": (Fraction(1, 2), 72, 120), "5/4": (Fraction(1, 4), 90, 160),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Tune:
    """A melody: (start, length) in whole notes, pitch; bars as starts; chord symbols by start; the key's pitch class
    and `major` or `minor`, the nearer one of other modes.
    """

    title: str
    rhythm: str
    metre: str
    quoted_tempo: tuple[Fraction, float] | None
    notes: list[tuple[Fraction, Fraction, int]]
    bars: list[Fraction]
    chords: list[tuple[Fraction, int, bool]]
    length: Fraction
    tonic: int = 0
    mode: str = "major"


def tunes(path: pathlib.Path) -> Iterator[Tune]:
    """Every tune of a file whose bars have the length that its signature says. Others are left out."""
    text = path.read_text(encoding="utf-8", errors="replace")
    for part in re.split(r"(?m)^(?=X:)", text):
        if part.startswith("X:") and (tune := _tune(part)):
            yield tune


def _tune(text: str) -> Tune | None:
    fields = {k: v.split("%")[0].strip() for k, v in re.findall(r"(?m)^([A-Z]): *(.*)$", text)}
    metre = {"C": "4/4", "C|": "2/2"}.get(fields.get("M", ""), fields.get("M", ""))
    key = re.match(r"([A-G])([#b]?) *([a-zA-Z]{0,3})", fields.get("K", ""))
    if metre not in _BEATS or not key or "V" in fields or len(re.findall(r"(?m)^[MKL]:", text)) > 3:
        return None
    unit = Fraction(fields["L"]) if re.fullmatch(r"1/\d+", fields.get("L", "")) else Fraction(1, 8)
    body = "".join(line.split("%")[0] for line in text.splitlines() if not re.match(r"[A-Za-z]:|%", line))
    parsed = _parse(body, unit, _signature(key))
    if parsed is None or not _regular(parsed[1], Fraction(metre)):
        return None
    quoted = re.match(r"(\d+/\d+) *= *(\d+)", fields.get("Q", ""))
    tempo = (Fraction(quoted[1]), float(quoted[2])) if quoted else None
    rhythm = fields.get("R", "").strip().lower()
    return Tune(fields.get("T", ""), rhythm, metre, tempo, *parsed, tonic=_tonic(key), mode=_mode(key))


def _signature(key: re.Match[str]) -> dict[str, int]:
    tonic = _tonic(key)
    mode = key[3].lower()
    sharps = (tonic + _MODES.get(mode[:3] if mode != "m" else "m", 0)) % 12 * 7 % 12
    if sharps > 6:
        return dict.fromkeys(_SHARPS[::-1][: 12 - sharps], -1)
    return dict.fromkeys(_SHARPS[:sharps], 1)


def _tonic(key: re.Match[str]) -> int:
    return (_PITCH[key[1]] + {"#": 1, "b": -1, "": 0}[key[2]]) % 12


def _mode(key: re.Match[str]) -> str:
    return "minor" if key[3].lower() in ("m", "min", "aeo", "dor", "phr") else "major"


def _length(text: str) -> Fraction:
    if "/" not in text:
        return Fraction(int(text or 1))
    upper, _, lower = text.partition("/")
    return Fraction(int(upper or 1), int(lower) if lower.isdigit() else 2 ** (1 + lower.count("/")))


def _parse(body: str, unit: Fraction, signature: dict[str, int]):  # type: ignore[no-untyped-def]
    notes: list[list] = []
    bars, chords = [Fraction(0)], []
    at, accidentals, tuplet, scale, broken, stack = Fraction(0), {}, 0, Fraction(1), None, None
    for token in _TOKEN.finditer(body):
        kind = token.groupdict()
        if kind["inline"]:
            return None
        if kind["chord"] is not None:
            if match := re.match(r"([A-G])([#b]?)(m(?!aj))?", kind["chord"]):
                chords.append((at, (_PITCH[match[1]] + {"#": 1, "b": -1, "": 0}[match[2]]) % 12, bool(match[3])))
        elif kind["bar"]:
            accidentals = {}
            if at != bars[-1]:
                bars.append(at)
        elif kind["tuplet"]:
            count = int(kind["tuplet"])
            if count not in (2, 3, 4):
                return None
            tuplet, scale = count, {2: Fraction(3, 2), 3: Fraction(2, 3), 4: Fraction(3, 4)}[count]
        elif kind["broken"]:
            broken = kind["broken"]
            if notes:
                factor = Fraction(3, 2) if broken == ">" else Fraction(1, 2)
                change = notes[-1][1] * (factor - 1)
                notes[-1][1] += change
                at += change
        elif kind["open"]:
            stack = []
        elif kind["close"]:
            if stack:
                at += max(length for _, length, _ in stack) * _length(kind["closelen"])
            stack = None
        elif kind["note"]:
            length = _length(kind["length"]) * unit
            if tuplet:
                length, tuplet = length * scale, tuplet - 1
            if broken and stack is None:
                length, broken = length * (Fraction(1, 2) if broken == ">" else Fraction(3, 2)), None
            letter = kind["note"].upper()
            entry = [at, length, 0]
            if letter not in "ZX":
                name = kind["note"] + kind["octave"]
                if kind["acc"]:
                    accidentals[name] = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}[kind["acc"]]
                octave = 12 * kind["note"].islower() + 12 * kind["octave"].count("'") - 12 * kind["octave"].count(",")
                entry[2] = _PITCH[letter] + octave + accidentals.get(name, signature.get(letter, 0))
            notes.append(entry)
            if stack is None:
                at += length
            else:
                stack.append(entry)
    return [tuple(n) for n in notes if n[2] > 0], bars, chords, at


def _regular(bars: list[Fraction], bar: Fraction) -> bool:
    lengths = [b - a for a, b in itertools.pairwise(bars)]
    return len(lengths) >= 6 and sum(length == bar for length in lengths) >= 0.75 * len(lengths)


def piece(tune: Tune, seed: int, length_s: float = 40.0) -> Piece:
    """A tune played: tempo as it states, or drawn from its metre's limits; accents and accompaniment drawn."""
    rng = random.Random(f"{tune.title}/{seed}")
    beat, low, high = _BEATS[tune.metre]
    if tune.rhythm in ("reel", "hornpipe") and tune.metre == "4/4":
        beat, low, high = Fraction(1, 2), 66, 112
    if tune.quoted_tempo:
        beat, bpm = tune.quoted_tempo
    else:
        bpm = low * (high / low) ** min(1.0, max(0.0, rng.gauss(0.5, 0.25)))
    whole_s = 60 / bpm / float(beat)
    notes = _played(tune, rng, whole_s, length_s, Fraction(tune.metre))
    beats, unit = map(int, tune.metre.split("/"))
    programs = {0: rng.choice(_MELODIES), 1: rng.choice(_BACKINGS), 2: rng.choice((0, 32, 42, 58))}
    notes = humanised(notes, rng.choice((0.0, 0.0, 0.006, 0.012)), rng)
    return Piece(tune.title, f"notation {tune.metre}", bpm, beats, unit, programs, notes)


def _played(tune: Tune, rng: random.Random, whole_s: float, length_s: float, bar: Fraction) -> list[Note]:
    accented, backing = rng.random() < 0.6, rng.choice(("none", "none", "vamp", "vamp", "block", "arpeggio"))
    shift, legato = rng.choice((-12, 0, 0)), rng.choice((0.6, 0.9, 1.0))
    first = next((b for a, b in itertools.pairwise(tune.bars) if b - a < bar), Fraction(0))
    pickup = first if first < bar else Fraction(0)
    round_length = tune.length - (tune.length - pickup) % bar
    out: list[Note] = []
    base = 0.0
    while base < length_s:
        for start, length, pitch in tune.notes:
            velocity = _accent((start - pickup) % bar, tune.metre) if accented else 90
            out.append(
                Note(base + float(start) * whole_s, float(length) * whole_s * legato, 0, pitch + shift, velocity)
            )
        if backing != "none":
            out += [
                dataclasses.replace(note, start_s=base + note.start_s)
                for note in _backing(tune, pickup, bar, whole_s, backing)
            ]
        base += max(1.0, float(round_length) * whole_s)
    return [note for note in out if note.start_s < length_s]


def _accent(place: Fraction, metre: str) -> int:
    if place == 0:
        return 106
    beat = Fraction(3, 8) if metre.endswith("/8") else Fraction(1, 4)
    return 96 if place % beat == 0 else 82


def _backing(tune: Tune, pickup: Fraction, bar: Fraction, whole_s: float, kind: str) -> Iterator[Note]:
    compound = tune.metre.endswith("/8")
    beat = Fraction(3, 8) if compound else Fraction(1, 2) if tune.metre == "2/2" else Fraction(1, 4)
    at = pickup
    while at + bar <= tune.length:
        root, minor = _harmony(tune, at, bar)
        tones = [48 + root, 52 + root - minor, 55 + root]
        if kind == "block":
            yield from (Note(float(at) * whole_s, float(bar) * whole_s * 0.95, 1, tone + 12, 68) for tone in tones)
        elif kind == "arpeggio":
            step = Fraction(1, 8)
            for i in range(int(bar / step)):
                tone = tones[(0, 1, 2, 1)[i % 4] if not compound else i % 3]
                yield Note(float(at + i * step) * whole_s, float(step) * whole_s, 1, tone, 72)
        else:
            yield from _vamp(at, bar, beat, compound, whole_s, tones)
        at += bar


def _vamp(
    at: Fraction, bar: Fraction, beat: Fraction, compound: bool, whole_s: float, tones: list[int]
) -> Iterator[Note]:
    """Bass on strong beats and chords between: oom-pah in its form for each metre."""
    for i in range(int(bar / beat)):
        place = float(at + i * beat) * whole_s
        triple = bar / beat == 3 and not compound
        if compound:
            yield Note(place, float(beat) * whole_s * 0.4, 2, tones[0] - 12 + 7 * (i % 2), 88)
            later = place + float(Fraction(2, 8)) * whole_s
            yield from (Note(later, 0.12, 1, tone + 12, 66) for tone in tones)
        elif i == 0 or (not triple and i % 2 == 0):
            yield Note(place, float(beat) * whole_s * 0.8, 2, tones[0] - 12 + (7 if i else 0), 90)
        else:
            yield from (Note(place, float(beat) * whole_s * 0.5, 1, tone + 12, 68) for tone in tones)


def _harmony(tune: Tune, at: Fraction, bar: Fraction) -> tuple[int, int]:
    """Root and 1 where minor: the tune's chord symbol, or the triad that holds most of the bar's melody."""
    told = [(root, minor) for start, root, minor in tune.chords if start <= at]
    if told:
        return told[-1][0], int(told[-1][1])
    weights = [0.0] * 12
    for start, length, pitch in tune.notes:
        if at <= start < at + bar:
            weights[pitch % 12] += float(length)
    tonic = tune.notes[-1][2] % 12
    triads = [((tonic + step) % 12, minor) for step, minor in ((0, 0), (5, 0), (7, 0), (9, 1), (2, 1), (0, 1))]
    return max(triads, key=lambda t: weights[t[0]] + weights[(t[0] + 4 - t[1]) % 12] + weights[(t[0] + 7) % 12])
