"""Scores in MusicXML (plain or compressed) as pieces: every part, with its ties, played by an ensemble."""

import pathlib
import random
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree

from benchmarks.rhythmic.render import Note, Piece, humanised

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ENSEMBLES = ((40, 40, 41, 42), (48, 48, 48, 48), (0, 0, 0, 0), (19, 19, 19, 19), (73, 68, 71, 70), (6, 6, 6, 6),
              (52, 52, 52, 52), (56, 60, 57, 58), (40, 0, 0, 42), (24, 24, 24, 32))  # fmt: skip
_TEMPI = {  # quarter notes in a felt beat, and limits of its tempo where the score states none
    "4/4": (1.0, 62, 144), "2/4": (1.0, 60, 126), "3/4": (1.0, 66, 168), "2/2": (2.0, 50, 104),
    "6/8": (1.5, 46, 108), "12/8": (1.5, 46, 100), "9/8": (1.5, 46, 100), "3/2": (2.0, 56, 100),
}  # fmt: skip


def read_root(path: pathlib.Path) -> ElementTree.Element:
    """The root element of a score, plain or compressed."""
    if path.suffix != ".mxl":
        return ElementTree.parse(path).getroot()
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if not n.startswith("META-INF") and n.endswith("xml"))
        return ElementTree.fromstring(archive.read(name))


def pieces(paths: list[pathlib.Path], length_s: float = 40.0) -> Iterator[Piece]:
    """One piece a score that has a single known time signature in what is played."""
    for path in paths:
        if piece := _piece(path, length_s):
            yield piece


def _piece(path: pathlib.Path, length_s: float) -> Piece | None:
    rng = random.Random(path.name)
    root = read_root(path)
    signatures = {f"{t.findtext('beats')}/{t.findtext('beat-type')}" for t in root.iter("time")}
    signature = next(iter(signatures)) if len(signatures) == 1 else ""
    if signature not in _TEMPI:
        return None
    quarters, low, high = _TEMPI[signature]
    told = [float(s.get("tempo", "0")) for s in root.iter("sound") if s.get("tempo")]
    quarter_bpm = told[0] if told else low * (high / low) ** rng.random() * quarters
    quarter_s = 60 / quarter_bpm
    accent = rng.random() < 0.5
    beats, unit = map(int, signature.split("/"))
    notes: list[Note] = []
    for channel, part in enumerate(root.iter("part")):
        if channel < 9:
            for start, length, pitch, place in _part(part):
                if start * quarter_s < length_s:
                    velocity = (100 if place == 0 else 84 if place % quarters == 0 else 76) if accent else 85
                    notes.append(Note(start * quarter_s, length * quarter_s * 0.95, channel, pitch, velocity))
    ensemble = rng.choice(_ENSEMBLES)
    programs = {channel: ensemble[channel % 4] for channel in range(9)}
    if len(notes) < 60:
        return None
    notes = humanised(notes, rng.choice((0.0, 0.005, 0.012)), rng)
    return Piece(path.stem, f"score {signature}", quarter_bpm / quarters, beats, unit, programs, notes)


def last_pitch(part: ElementTree.Element) -> int:
    """The lowest of the notes that begin last in a part; 0 if it has no note."""
    notes = list(_part(part))
    last = max((start for start, _, _, _ in notes), default=0.0)
    return min((pitch for start, _, pitch, _ in notes if start == last), default=0)


def _part(part: ElementTree.Element) -> Iterator[tuple[float, float, int, float]]:
    """(start, length, pitch, place in its bar) in quarter notes; tied notes are one."""
    divisions, bar_start, open_ties = 1.0, 0.0, {}
    found: list[list[float]] = []
    for measure in part.iter("measure"):
        at, last, furthest = 0.0, 0.0, 0.0
        for element in measure:
            duration = float(element.findtext("duration", "0")) / divisions
            if element.tag == "attributes":
                divisions = float(element.findtext("divisions", str(divisions)))
            elif element.tag == "backup":
                at -= duration
            elif element.tag == "forward":
                at += duration
            elif element.tag == "note" and element.find("grace") is None:
                start = last if element.find("chord") is not None else at
                if element.find("chord") is None:
                    last, at = at, at + duration
                if pitch := _pitch(element):
                    ties = {t.get("type") for t in element.findall("tie")}
                    if "stop" in ties and pitch in open_ties:
                        open_ties[pitch][1] += duration
                    else:
                        found.append([bar_start + start, duration, pitch, start])
                        open_ties[pitch] = found[-1]
            furthest = max(furthest, at)
        bar_start += furthest
    return ((start, length, int(pitch), place) for start, length, pitch, place in found)


def _pitch(note: ElementTree.Element) -> int:
    pitch = note.find("pitch")
    if pitch is None:
        return 0
    return (
        12 * (int(pitch.findtext("octave", "4")) + 1)
        + _STEPS[pitch.findtext("step", "C")]
        + round(float(pitch.findtext("alter", "0")))
    )
