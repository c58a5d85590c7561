"""Pieces beyond those made by rule: what MIDI files state, charts of grooves, and which model may see which piece."""

import collections

import numpy as np
import pytest

from benchmarks import breadth
from benchmarks.rhythmic import fit, grooves, midi, packaged

TEMPO, SLOWER = b"\0\xff\x51\x03\x06\x1a\x80", b"\x87\x40\xff\x51\x03\x0c\x35\x00"
IN_SIX = b"\0\xff\x58\x04\x06\x03\x18\x08"
END = b"\0\xff\x2f\0"


def file_of(*tracks, division=480):
    head = b"MThd" + (6).to_bytes(4, "big") + b"".join(n.to_bytes(2, "big") for n in (1, len(tracks), division))
    return head + b"".join(b"MTrk" + len(track).to_bytes(4, "big") + track for track in tracks)


def test_a_file_states_tempi_signatures_and_notes():
    notes = b"\0\x90\x3c\x64\x83\x60\x3c\0\0\x91\x40\x64\x83\x60\x81\x40\0" + END  # The second event has no status.
    song = midi.read(file_of(TEMPO + IN_SIX + SLOWER + END, notes))
    assert song.notes == [(0, 0, 60, 480), (480, 1, 64, 480)]
    assert (song.tempi, song.signatures) == ([(0, 400_000), (960, 800_000)], [(0, 6, 8)])
    assert (song.second(960), song.second(1_440)) == (pytest.approx(0.8), pytest.approx(1.6))
    assert song.quarters_a_minute(0, 0.7) == pytest.approx(150)
    assert song.quarters_a_minute(0, 1) is None
    assert song.quarters_a_minute(0.9, 9) == pytest.approx(75)
    assert song.signature(0, 9) == (6, 8)


def test_a_dotted_quarter_is_the_beat_of_six_eighths():
    truth = packaged.truth_of(midi.read(file_of(TEMPO + IN_SIX + END)), 0)
    assert truth == {"bpm": pytest.approx(100), "steady": True, "beats": 6, "unit": 8}


@pytest.mark.parametrize("bad", [b"", b"RIFF0000000000000000", file_of(END, division=0xE728)])
def test_what_is_no_readable_file_is_refused(bad):
    with pytest.raises(ValueError, match=r"MIDI file|frames"):
        midi.read(bad)


def test_a_melody_is_one_more_track():
    data = midi.with_melody(file_of(TEMPO + END), 3, 40, [(0, 1, 60, 90), (300, 300.5, 64, 80)])
    song = midi.read(data)
    assert song.notes == [(0, 3, 60, 480), (144_000, 3, 64, 240)]
    assert song.tempi == [(0, 400_000)]


def test_every_family_has_a_beat_a_metre_and_a_half():
    found = grooves.families()
    assert len({each.name for each in found}) == len(found) == 112
    for each in found:
        beats, unit = map(int, each.signature.split("/"))
        assert each.bar_counts / each.counts == (beats / 3 if unit == 8 else beats)
        assert 40 <= each.low_bpm < each.high_bpm <= 240
    halves = collections.defaultdict(set)
    for each in found:
        halves[each.kind, each.group].add(each.half)
    assert {len(half) for half in halves.values()} == {1}
    assert 45 <= sum(each.half for each in found) <= 67


def test_a_chart_has_the_tempo_and_chords_of_its_truth(monkeypatch):
    monkeypatch.setattr(grooves, "grooves", lambda family: ["Polka1"])
    polka = next(each for each in grooves.families() if each.name == "polka")
    made = grooves.chart(polka, 3, 17)
    assert made == grooves.chart(polka, 3, 17)
    lines = made.text.splitlines()
    bpm = float(str(made.truth["bpm"]))
    assert lines[1:3] == [f"Tempo {2 * bpm:.2f}", "Groove polka:Polka1"]
    assert (made.truth["beats"], made.truth["unit"], made.truth["half"]) == (2, 4, polka.half)
    assert 104 <= bpm <= 132
    bars = len(lines) - 3
    assert bars * 4 * 60 / (2 * bpm) >= grooves.LENGTH_S + grooves.LATEST_START_S


def test_a_model_sees_neither_the_part_nor_the_half_that_it_tells():
    truth = [{"style": f"style {n}", "name": f"{n}"} for n in range(8)]
    truth += [{"style": "mma waltz", "name": "a", "half": 0}, {"style": "mma waltz", "name": "b", "half": 1}]
    part = fit.parts(truth)
    assert sorted(part[:8].tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    for held in range(fit.PARTS):
        may = set(fit.seen(truth, held).tolist())
        assert {n for n in range(8) if n not in may} == set(np.flatnonzero(part[:8] == held).tolist())
        assert (8 in may, 9 in may) == (held % 2 == 1, held % 2 == 0)


def test_intervals_are_over_groups():
    values, groups = np.repeat([0.0, 1.0], 50), np.repeat(["a", "b"], 50)
    assert breadth.interval(values, groups) == "0.500 (0.000 to 1.000)"
    assert breadth.interval(values, np.arange(100).astype(str)) == "0.500 (0.400 to 0.590)"
