"""What a catalog states about tempo, key, metre and loudness, beside what was measured."""

import json

import pyarrow as pa
import pytest

from pipelines.cli import main
from tests.support.published import fake_bundle, publish_table
from tests.support.rows import publish_rows
from transforms.comparison.stated_parameters import compare_with_stated
from transforms.features.parameters.key_spellings import parse_key
from transforms.features.parameters.keys import KEY_NAMES, camelot
from transforms.table.reader import open_snapshot

SPELLINGS = {
    "A minor": (
        "Am",
        "A minor",
        "a",
        "Amin",
        "A-moll",
        "8A",
        "08a",
        "1m",
        "A:min",
        " A  Minor ",
        "8A - Am",
        "A minor (8A)",
        "A min.",
        "La mineur",
        "la minore",
        "Lam",
        "La menor",
        "Lá menor",
        "A - minor",
        "8A Am",
        "Am 8A",
        "8A-Am",
        "8A \u2013 Am",
        "[8A]",
        "A minor [8A]",
        "in A minor",
        "Key: Am",
        "key of a minor",
        "en la mineur",
        "a-mol",
        "A\u00a0minor",
        "A\u2010minor",
    ),
    "C major": (
        "C",
        "C major",
        "Cmaj",
        "C-Dur",
        "8B",
        "1d",
        "B#",
        "Do majeur",
        "do",
        "Do M",
        "Ut majeur",
        "DO MAGGIORE",
        "C - Dur",
        "Dó maior",
        "Do magg.",
        "\ufeffC",
    ),
    "G# minor": (
        "Abm",
        "A\u266d minor",
        "G#m",
        "G\u266f minor",
        "gis-moll",
        "as-moll",
        "1A",
        "6m",
        "G#m/Abm",
        "G#/Ab minor",
        "Sol dièse mineur",
        "sol diesis minore",
        "La b\u00e9mol mineur",
        "Lab m",
        "La be\u0301mol mineur",
        "Sol die\u0300ze mineur",
        "A\u266d\ufe0f minor",
        "Sol sustenido menor",
    ),
    "Bb major": (
        "Bb",
        "B flat major",
        "A#",
        "6B",
        "11d",
        "B-Dur",
        "b dur",
        "Si bemolle maggiore",
        "Sib",
        "Bes-dur",
        "Si bemolle",
        "SI BEMOLLE",
        "Si bem. magg.",
        "in B\u2010flat major",
    ),
    "Bb minor": ("Bbm", "b-moll", "B moll", "Si bemol menor"),
    "B minor": ("Bm", "h-moll", "b", "10A", "B minor", "si mineur", "h"),
    "B major": ("B", "H", "H-Dur", "B major", "Si"),
    "Eb major": ("Es-Dur", "D sharp major", "5B", "Mi b\u00e9mol majeur", "Mi bemolle"),
    "Ab major": ("As-Dur", "As", "Ab"),
    "E major": ("E", "Mi", "mi"),
}


@pytest.mark.parametrize("key", SPELLINGS)
def test_a_key_in_any_usual_spelling(key):
    assert {text: parse_key(text) for text in SPELLINGS[key]} == dict.fromkeys(SPELLINGS[key], key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o",
        "13A",
        "0A",
        "off key",
        "A dorian",
        "Am7b5",
        "8",
        "minor",
        "\u0000",
        "Am/C",
        "8A - 126",
        "/",
        "C, D",
        "Am (off)",
        "Cs",
        "Hs dur",
        "lala",
        "solo",
        "dominant",
        "remix",
        "in",
        "key of",
        "8A - Em",
        "8A 9A",
        "8A 7",
        "\u00e9",
        "()",
        " - ",
    ],
)
def test_what_is_no_key(text):
    assert parse_key(text) is None


@pytest.mark.parametrize("text", ["c", "f#", "as", "h", "in c", "(c)", "c/b#"])
def test_the_mode_of_a_small_letter(text):
    minor, major = parse_key(text), parse_key(text, small="major")
    assert (minor.split()[1], major.split()[1]) == ("minor", "major")


@pytest.mark.parametrize("key", KEY_NAMES)
def test_every_name_and_code_of_ours_is_read_back(key):
    short = key.replace(" minor", "m").replace(" major", "")
    assert parse_key(key) == parse_key(camelot(key)) == parse_key(short) == key


MEASURED = {"tempo_bpm": 120.0, "tempo_alternative_bpm": 60.0, "key": "A minor", "parameters_id": "pa-1"}
METRE = {"beats_per_bar": 4, "beat_unit": 4, "loudness_lufs": -14.0}
TRACKS = {
    "same": {"bpm": 121.0, "musical_key": "Am", "time_signature": "4/4", "stated_loudness_lufs": -14.5},
    "octave": {"bpm": 60.0, "musical_key": "C", "time_signature": "2/4", "stated_loudness_lufs": -12.0},
    "third": {"bpm": 40.0, "musical_key": "8B", "time_signature": "3/4", "stated_loudness_lufs": -24.0},
    "other": {"bpm": 100.0, "musical_key": "E minor", "time_signature": "waltz", "stated_loudness_lufs": None},
    "parallel": {"bpm": None, "musical_key": "A", "time_signature": None, "stated_loudness_lufs": None},
    "unread": {"bpm": 0.0, "musical_key": "off", "time_signature": None, "stated_loudness_lufs": None},
}
STATED = ("bpm", "musical_key", "stated_loudness_lufs", "time_signature")


def snapshot_of(folder, rows, texts=("musical_key", "time_signature")):
    fields = [pa.field(name, pa.string() if name in texts else pa.float64()) for name in STATED]
    publish_rows(folder, [{"tag": "mood/calm", "category": "mood", "threshold": 0.5}], rows, [], fields=fields)
    return open_snapshot(str(folder))


def test_shares_that_agree(tmp_path):
    rows = [{"track_id": name, **MEASURED, **METRE, **stated} for name, stated in TRACKS.items()]
    rows.append({"track_id": "unmeasured", **dict.fromkeys(STATED), "bpm": 120.0, "musical_key": "Am"})
    rows.append({"track_id": "old", **MEASURED, **dict.fromkeys(STATED), "parameters_id": "pa-0"})
    found = compare_with_stated(snapshot_of(tmp_path / "t", rows)).to_json()
    assert found["tracks"] == {"": 1, "pa-0": 1, "pa-1": 6}
    told = {one["column"]: (one["compared"], one["unread"], one["counts"]) for one in found["agreements"]}
    assert told == {
        "bpm": (4, 1, {"within 4 %": 1, "within 4 % or the alternative": 2, "up to an octave": 3}),
        "musical_key": (5, 1, {"exact": 1, "relative": 2, "fifth": 1, "parallel": 1, "other": 0}),
        "time_signature": (3, 1, {"same": 2}),
        "stated_loudness_lufs": (3, 0, {"within 1 LU": 1, "within 3 LU": 2}),
    }
    shares = {one["column"]: one["shares"] for one in found["agreements"]}
    assert shares["bpm"]["up to an octave"] == 0.75 and shares["musical_key"]["relative"] == 0.4


@pytest.mark.parametrize(("bpm", "metre", "loudness"), [("121 BPM", "4", "-14,5 LUFS"), ("121,0", "4.0", "-14.5 dB")])
def test_texts_of_numbers_are_read(tmp_path, bpm, metre, loudness):
    row = {"bpm": bpm, "musical_key": "8A", "time_signature": metre, "stated_loudness_lufs": loudness}
    snapshot = snapshot_of(tmp_path / "t", [{"track_id": "a", **MEASURED, **METRE, **row}], STATED)
    for one in compare_with_stated(snapshot).to_json()["agreements"]:
        assert (one["compared"], one["unread"]) == (1, 0) and 1 in one["counts"].values(), one


def test_a_table_without_parameters(tmp_path):
    publish_table(tmp_path / "t", fake_bundle(tmp_path / "b"), 6)
    assert compare_with_stated(open_snapshot(str(tmp_path / "t"))).to_json() == {"tracks": {"": 6}, "agreements": []}


def test_describe_prints_the_shares(tmp_path, capsys):
    publish_table(tmp_path / "t", fake_bundle(tmp_path / "b"), 12, parameters=True)
    assert main(["describe", str(tmp_path / "t"), "--parameters", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["parameters"]
    assert found["tracks"] == {"pa-invented": 12} and found["agreements"][0]["column"] == "bpm"
    assert main(["describe", str(tmp_path / "t"), "--parameters"]) == 0
    lines = capsys.readouterr().out.splitlines()
    share = found["agreements"][0]["shares"]["up to an octave"]
    assert any(line.split()[:3] == ["bpm", "tempo_bpm", "tempo_alternative_bpm"] for line in lines)
    assert any("up to an octave" in line and line.split()[-1] == f"{share:.3g}" for line in lines)
