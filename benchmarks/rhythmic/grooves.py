"""Accompaniments of Musical MIDI Accompaniment (MMA): a hundred families of grooves, in chords of our own making.

    python -m benchmarks.rhythmic.grooves --out PIECES [--each 3] [--first-seed N] [--fonts FONT.sf2 ...]

The program, its library of grooves and the sound fonts are packages of Debian. Every family of the library has a line
in `FAMILIES`. Its metre is what the library says. The library counts quarter notes; where its comments say that a
groove is really in 2/4, or that a bar of 6/8 has six beats of it, a felt beat is two or three of them. The tempo of a
piece is drawn between limits: what the comments advise, else what is usual for the dance or the style.
"""

import argparse
import dataclasses
import json
import os
import random
import re
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks import tonal_pieces
from benchmarks.rhythmic import midi
from benchmarks.rhythmic.render import RATE_HZ, SOUND_FONTS
from transforms.features.parameters.keys import KEY_NAMES, MAJOR_NAMES

HOME = Path(os.environ.get("MMA_HOME", "/usr/share/mma"))
LENGTH_S, LATEST_START_S = 30.0, 8.0
MELODY_SHARE = 0.5
_AT_ONCE = 6
_CHORDS = {
    tonal_pieces.M: "", tonal_pieces.N: "m", tonal_pieces.D7: "7", tonal_pieces.M7: "M7", tonal_pieces.N7: "m7",
    tonal_pieces.DIM: "dim", tonal_pieces.SUS: "sus4", tonal_pieces.POWER: "5",
}  # fmt: skip
_NO_PIECE = re.compile(r"Intro|End|Fill|Metronome")
"""Grooves for the beginnings and ends of pieces."""
_DEFINED = re.compile(r"^\s*defgroove\s+(\S+)", re.IGNORECASE | re.MULTILINE)

# kind: then for each family its name, its group (families that resemble each other have one), limits of the felt tempo,
# beats of the library in a felt beat, beats of the library in a bar, and the signature.
_TABLE = """
rock: 50srock beat 120 170 1 4 4/4; 60srock 60s 110 150 1 4 4/4; 8beat beat 90 140 1 4 4/4;
  basicrock strut 100 150 1 4 4/4; bubblerock bubble 110 140 1 4 4/4; softrock soft 110 150 1 4 4/4;
  strut strut 100 140 1 4 4/4; twist twist 140 170 1 4 4/4; jive jive 140 190 1 4 4/4; jazzrock jazzrock 110 140 1 4 4/4
dance: boneym boneym 100 130 1 4 4/4; bvfunk funk 90 124 1 4 4/4; dsoul boneym 100 124 1 4 4/4;
  trance trance 128 145 1 4 4/4; ska ska 100 125 2 4 2/4; rb rb 100 140 1 4 4/4
ballad: ballad ballad 58 92 1 4 4/4; folkballad folkballad 60 90 1 4 4/4; guitarballad pianoballad 70 100 1 4 4/4;
  pianoballad pianoballad 56 90 1 4 4/4; popballad ballad 60 92 1 4 4/4; popspiritual slowspiritual 60 86 1 4 4/4;
  rb-ballad rbballad 60 90 1 4 4/4; rockballad rockballad 58 90 1 4 4/4; slowspiritual slowspiritual 60 90 1 4 4/4;
  stringballad string 50 74 1 4 4/4; lullaby lullaby 60 92 1 4 4/4; arpeggio44 arpeggio 60 120 1 4 4/4;
  hymn hymn 66 110 1 4 4/4
swing: bebop bebop 120 150 1 4 4/4; bigband bigband 110 190 1 4 4/4; easyswing easy 100 160 1 4 4/4;
  fastswing fast 100 120 2 4 2/4; swing swing 110 190 1 4 4/4; jazzcombo combo 120 190 1 4 4/4;
  gypsyjazz gypsy 140 220 1 4 4/4; descendingjazz descending 110 150 1 4 4/4; modernjazz modern 100 150 1 4 4/4;
  foxtrot foxtrot 110 140 1 4 4/4; westernswing western 120 190 1 4 4/4; countryswing western 110 160 1 4 4/4;
  folkyjazz folky 90 140 1 4 4/4
slow jazz: evansish mellow 54 80 1 4 4/4; mellowjazz mellow 54 76 1 4 4/4; nitejazz nite 50 70 1 4 4/4;
  slowjazz slowjazz 56 100 1 4 4/4; jazzguitar jazzguitar 60 100 1 4 4/4
blues: blues blues 70 130 1 4 4/4; slowblues blues 56 90 1 4 4/4; fastblues fastblues 140 200 1 4 4/4;
  boggiewoggie boogie 120 180 1 4 4/4; shuffleboggie boogie 110 150 1 4 4/4; countryblues countryblues 80 120 1 4 4/4
country: bluegrass bluegrass 120 200 1 4 4/4; hillcountry hill 100 140 1 4 4/4; slowcountry slowcountry 70 100 1 4 4/4;
  zydeco zydeco 110 150 1 4 4/4; folk folk 90 140 1 4 4/4; folkrock folkrock 100 132 1 4 4/4;
  spiritual spiritual 120 180 1 4 4/4; bluefolk bluefolk 66 116 1 4 4/4
latin: beguine rhumba 100 132 1 4 4/4; bolero bolero 70 110 1 4 4/4; bossanova bossa 110 160 1 4 4/4;
  calypso calypso 110 200 1 4 4/4; chacha chacha 110 130 1 4 4/4; cubanguitar cubanguitar 70 110 1 4 4/4;
  desert desert 110 180 1 4 4/4; jazzrhumba rhumba 100 150 1 4 4/4; lfusion lfusion 100 140 1 4 4/4;
  lighttango tango 110 132 1 4 4/4; mambo mambo 130 200 1 4 4/4; merengue merengue 110 150 2 4 2/4;
  rhumba rhumba 100 140 1 4 4/4; salsa salsa 150 200 1 4 4/4; samba samba 90 110 2 4 2/4;
  slowbolero slowbolero 70 100 1 4 4/4; son son 110 180 1 4 4/4; tango tango 110 132 1 4 4/4
march and stage: broadway broadway 110 140 2 4 2/4; bwmarch broadway 110 128 2 4 2/4; march march 100 124 2 4 2/4;
  dixie dixie 170 220 1 4 4/4; dixiemarch dixie 150 210 1 4 4/4; polka polka 104 132 2 4 2/4;
  quickstep quickstep 96 108 2 4 2/4; ragtime ragtime 80 110 2 4 2/4; showtune showtune 90 130 1 4 4/4;
  slowbroadway slowbroadway 100 140 1 4 4/4; softshoe softshoe 100 130 1 4 4/4; charleston charleston 200 230 1 4 4/4
triple: arpeggiowaltz arpeggiowaltz 80 150 1 3 3/4; broadwaywaltz broadwaywaltz 120 190 1 3 3/4;
  countrywaltz countrywaltz 84 150 1 3 3/4; fastjazzwaltz jazzwaltz 150 210 1 3 3/4;
  fastwaltz fastwaltz 160 220 1 3 3/4; frenchwaltz frenchwaltz 130 190 1 3 3/4; jazzwaltz jazzwaltz 110 180 1 3 3/4;
  latinwaltz latinwaltz 100 170 1 3 3/4;
  modernjazzwaltz modernwaltz 100 160 1 3 3/4; rockwaltz rockwaltz 90 160 1 3 3/4;
  vienesewaltz viennese 150 190 1 3 3/4; waltz waltz 84 160 1 3 3/4
compound: 68march march68 100 126 1 2 6/8; 68swing swing68 96 140 3 6 6/8; afro-cuban afro 90 130 1.5 3 6/8;
  arpeggio68 arpeggio68 40 72 3 6 6/8; ballad128 slow128 46 76 1 4 12/8; blues128 slow128 50 96 1 4 12/8;
  blues68 blues68 50 76 3 6 6/8; rock-128 rock128 52 92 1 4 12/8
five: jazz-54 five 150 190 1 5 5/4
"""


@dataclasses.dataclass(frozen=True)
class Family:
    """A file of the library: see the comment of the table. `half` is 0 or 1: groups of a kind by turns."""

    name: str
    kind: str
    group: str
    low_bpm: float
    high_bpm: float
    counts: float
    bar_counts: int
    signature: str
    half: int


@dataclasses.dataclass(frozen=True)
class Chart:
    """A piece: what MMA reads, a melody (program, notes) or none, and the truth."""

    text: str
    program: int
    melody: list[tuple[float, float, int, int]]
    truth: dict[str, object]


def families() -> list[Family]:
    """All lines of the table."""
    found = []
    for line in re.sub(r";?\n +", ";", _TABLE.strip()).splitlines():
        kind, rest = line.split(":", 1)
        rows = [each.split() for each in rest.split(";") if each.strip()]
        groups = list(dict.fromkeys(row[1] for row in rows))
        for name, group, low, high, counts, bar, signature in rows:
            half = (groups.index(group) + len(kind)) % 2
            found.append(
                Family(name, kind, group, float(low), float(high), float(counts), int(bar), signature, half)
            )  # fmt: skip
    return found


def grooves(family: Family) -> list[str]:
    """Grooves of a family that a piece can consist of."""
    text = (HOME / "lib" / "stdlib" / f"{family.name}.mma").read_text(encoding="latin-1")
    return [name for name in _DEFINED.findall(text) if not _NO_PIECE.search(name)]


def chart(family: Family, seed: int, number: int) -> Chart:
    """A piece of a family: groove, tempo, key, chords and melody are drawn."""
    rng, draw = random.Random(f"{family.name}/{seed}"), np.random.default_rng([seed, number])
    bpm = family.low_bpm * (family.high_bpm / family.low_bpm) ** min(1.0, max(0.0, rng.gauss(0.5, 0.28)))
    bpm = round(bpm * family.counts, 2) / family.counts
    key = (7 * number + 5 * seed) % 24
    mode, tonic = ("major", "minor")[key // 12], key % 12
    functional = draw.random() < 0.4
    chords = tonal_pieces._functional(draw, mode, 16) if functional else tonal_pieces._loop(draw, mode)
    bar_s = 60 / bpm / family.counts * family.bar_counts
    bars = [chords[bar % len(chords)] for bar in range(int((LENGTH_S + LATEST_START_S) / bar_s) + 3)]
    lines = [f"{n + 1} {_named(tonic, chord)}" for n, chord in enumerate(bars)]
    groove = rng.choice(grooves(family))
    head = [f"RndSeed {seed}", f"Tempo {bpm * family.counts:.2f}", f"Groove {family.name}:{groove}"]
    beats, unit = map(int, family.signature.split("/"))
    truth = {"name": f"{groove} {seed}", "style": f"mma {family.kind}", "family": family.name, "group": family.group}
    truth |= {"half": family.half, "bpm": bpm, "beats": beats, "unit": unit, "key": KEY_NAMES[key], "steady": True}
    melody = _melody(draw, mode, tonic, bars, family.bar_counts) if draw.random() < MELODY_SHARE else []
    return Chart("\n".join([*head, *lines, ""]), int(draw.choice(tonal_pieces.LEADS)), melody, truth)


def _named(tonic: int, chord: tonal_pieces.Chord) -> str:
    root, shape = chord
    return MAJOR_NAMES[(tonic + root) % 12] + _CHORDS[shape]


def _melody(
    draw: np.random.Generator, mode: str, tonic: int, bars: Sequence[tonal_pieces.Chord], counts: int
) -> list[tuple[float, float, int, int]]:
    """(start, end, pitch, velocity) in quarter notes."""
    pitch, level, found = 72, int(draw.integers(60, 105)), []
    for bar, (root, shape) in enumerate(bars):
        scale = tonal_pieces._bar_scale(mode, tonic, tonic + root, shape)
        tones = [(tonic + root + step) % 12 for step in shape]
        pitch, notes = tonal_pieces._melody(draw, float(bar * counts), 1.0, counts, pitch, tones, scale, level)
        found += [(start, end, tone, velocity) for start, end, tone, velocity, _ in notes]
    return found


def compiled(chart: Chart) -> bytes | None:
    """The MIDI file that MMA makes of a chart, with its melody; None where it refuses the groove."""
    with tempfile.TemporaryDirectory() as name:
        source, made = Path(name) / "chart.mma", Path(name) / "chart.mid"
        source.write_text(chart.text, encoding="utf-8")
        command = ["mma", "-f", str(made), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if not made.exists():
            print(f"left out: {chart.truth['name']}: {done.stdout.strip()[-200:]}", flush=True)
            return None
        data = made.read_bytes()
    used = {channel for _, channel, _, _ in midi.read(data).notes}
    free = [channel for channel in range(16) if channel not in used and channel != 9]
    return midi.with_melody(data, free[0], chart.program, chart.melody) if chart.melody and free else data


def main() -> None:
    """Renders pieces of every family: NNNN.npy (int16 [samples] at 16 kHz) and truth.jsonl."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="folder to write")
    parser.add_argument("--each", type=int, default=3, metavar="N", help="pieces of each family (3)")
    parser.add_argument("--first-seed", type=int, default=0, metavar="N", help="another seed makes other pieces (0)")
    parser.add_argument(
        "--fonts", nargs="+", default=SOUND_FONTS, metavar="FILE", help="sound fonts, by turns; names or paths"
    )
    args = parser.parse_args()
    drawn = [
        (family, seed) for seed in range(args.first_seed, args.first_seed + args.each) for family in families()
    ]  # fmt: skip
    charts = [chart(family, seed, number) for number, (family, seed) in enumerate(drawn)]
    args.out.mkdir(parents=True, exist_ok=True)
    players = [midi.Player(font) for font in args.fonts]
    written = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool, (args.out / "truth.jsonl").open("w") as truths:
        for number, (each, data) in enumerate(zip(charts, pool.map(compiled, charts), strict=True)):
            if data is None:
                continue
            font = (number + number // len(players)) % len(players)
            start = random.Random(number).uniform(0, LATEST_START_S)
            samples = players[font].play(data, start, LENGTH_S)
            if np.abs(samples).max() < 1e-3:
                print(f"left out: {each.truth['name']} is silent", flush=True)
                continue
            np.save(args.out / f"{written:04d}.npy", (np.clip(samples, -1, 1) * 32_767).astype(np.int16))
            truths.write(json.dumps(each.truth | {"font": Path(args.fonts[font]).stem}) + "\n")
            truths.flush()
            written += 1
    print(f"{written} pieces of {len(families())} families at {RATE_HZ} Hz")


if __name__ == "__main__":
    main()
