"""`search --sounds-like`: a pair of networks of known truth, from its ONNX files to the answer."""

import csv
import io
import json

import numpy as np
import pytest

from models.trunks.loading import load_embedder
from pipelines.cli import main
from tests.support.embedded import publish_embedded
from tests.support.pairs import SPEC, TONES, audio_network, text_network, tokenizer_json, write_tagger, write_tones


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The bundles `tagger` and `text` of a pair, and a table of bands whose embeddings the audio network made."""
    folder = tmp_path_factory.mktemp("pair")
    bundle = import_pair(folder)
    patches = band_patches()
    rows = load_embedder(bundle.url).embed(list(patches.values()))
    tracks = {track: (row, 100.0 + number) for number, (track, row) in enumerate(zip(patches, rows, strict=True))}
    ids = {"embedding_id": bundle.embedding_id, "parts": bundle.embedding_parts, "trunk_ids": bundle.trunk_ids}
    earlier = {"old-0": (np.ones(4, np.float32), 10.0)}
    publish_embedded(folder / "table", tracks, **ids)
    publish_embedded(folder / "mixed", tracks, earlier=earlier, **ids)
    publish_embedded(folder / "unnamed", tracks, embedding_id=bundle.embedding_id, parts=bundle.embedding_parts)
    return folder


def import_pair(folder):
    """Writes the files of a pair and imports them; returns the bundle of the tagger."""
    bundle = write_tagger(str(folder / "tagger"), audio_network())
    (folder / "text.onnx").write_bytes(text_network())
    (folder / "tokenizer.json").write_bytes(tokenizer_json())
    places = ["--onnx", str(folder / "text.onnx"), "--tokenizer", str(folder / "tokenizer.json")]
    flags = ["--for-trunk", bundle.url, "--sequence-length", "10", "--template", "a recording of {}."]
    assert main(["import-model", "text", *places, *flags, "--output", str(folder / "text")]) == 0
    return bundle


def band_patches():
    """Four tracks of each kind of `TONES`: noise whose energy is in the two bands of the kind, the more the louder."""
    rng, found = np.random.default_rng(0), {}
    for kind, first in zip(TONES, (0, 6, 12), strict=True):
        for number in range(4):
            patches = rng.normal(-60, 1, (3, *SPEC.patch_shape))
            patches[:, :, first : first + 4] += 25 + 5 * number
            found[f"{kind}-{number}"] = patches.astype(np.float16)
    return found


def ask(capsys, folder, text, *words, table="table"):
    capsys.readouterr()
    flags = ["--sounds-like", text, "--text-model", str(folder / "text")]
    code = main(["search", str(folder / table), *flags, *words, "--json"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return json.loads(shown.out)


def kinds(document):
    return [track["track_id"].partition("-")[0] for track in document["tracks"]]


@pytest.mark.parametrize(
    ("text", "kind"), [("low hum", "low"), ("a hollow mid", "mid"), ("bright hiss", "high"), ("Dèep", "low")]
)
def test_a_text_finds_the_sound_that_it_names_first(folder, capsys, text, kind):
    document = ask(capsys, folder, text, "--limit", "12")
    found = kinds(document)
    assert found[:4] == [kind] * 4 and kind not in found[4:] and len(found) == 12
    values = [track["tags"][0]["score"] for track in document["tracks"]]
    assert values == sorted(values, reverse=True) and min(values[:4]) > 0.8 and max(values[4:]) < 0
    assert document["score"].endswith("of the text, over a sample of the tracks")


def test_the_answer_says_what_was_read(folder, capsys):
    document = ask(capsys, folder, "low kazoo " * 9, "--limit", "1")
    read = document["sounds_like"]
    assert (read["cut"], read["unknown"], read["not_compared"]) == (14, ["kazoo"], 0)
    assert read["text_id"].startswith("te-") and read["trunk_id"].startswith("tr-")
    words = ["search", str(folder / "table"), "--sounds-like", "low kazoo " * 9, "--text-model", str(folder / "text")]
    assert main([*words, "--limit", "1"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == [
        "the text is cut: the network reads 8 of 22 tokens",
        "words that the text network does not know: kazoo",
    ]
    assert printed[-1] == "(1 row)" and printed[4].split()[1].startswith("low-")
    assert main([*words, "--format", "csv", "--limit", "3"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert all(row["why"].startswith("text 0.") and row["why"].count("text") == 1 for row in rows) and len(rows) == 3


def test_a_text_is_combined_with_tags_and_conditions(folder, capsys):
    document = ask(capsys, folder, "hum", "--range", "duration=102..", "--tag", "calm=-1", "--limit", "12")
    assert kinds(document)[:2] == ["low", "low"] and len(document["tracks"]) == 10
    assert [one["left"] for one in document["filters"]] == [10]
    for track in document["tracks"]:
        assert {one["term"] for one in track["tags"]} == {"text", "mood/calm"}
        assert track["score"] == pytest.approx(sum(one["value"] for one in track["tags"]), abs=2e-4)


def test_the_same_command_prints_the_same(folder, capsys):
    words = ["search", str(folder / "table"), "--sounds-like", "low hiss", "--text-model", str(folder / "text")]
    printed = []
    for _ in range(2):
        assert main(words) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] and "(12 rows)" in printed[0]


def test_tracks_of_another_embedding_are_counted(folder, capsys):
    document = ask(capsys, folder, "low", "--limit", "20", table="mixed")
    assert len(document["tracks"]) == 12 and document["searched"] == 13 and document["sounds_like"]["not_compared"] == 1
    words = ["search", str(folder / "mixed"), "--sounds-like", "low", "--text-model", str(folder / "text")]
    assert main(words) == 0
    assert "1 track has an embedding of other trunks and cannot be compared with the text" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "table", "told"),
    [
        ("kazoo zither", "table", "--sounds-like: text 'kazoo zither': the tokenizer knows none of its words"),
        ("", "table", "--sounds-like: the text is empty"),
        ("low \udcff", "table", "is no Unicode character"),
        ("low " * 4000, "table", "at most 10,000 are read"),
        ("low", "unnamed", "does not say which trunks its embeddings are of"),
    ],
)
def test_what_cannot_be_answered_is_one_line(folder, capsys, text, table, told):
    words = ["search", str(folder / table), "--sounds-like", text, "--text-model", str(folder / "text")]
    capsys.readouterr()
    assert main(words) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and told in shown.err


def test_flags_that_need_each_other(folder, capsys):
    assert main(["search", str(folder / "table"), "--sounds-like", "low"]) == 2
    assert "needs --text-model BUNDLE" in capsys.readouterr().err
    assert main(["search", str(folder / "table"), "calm", "--text-model", str(folder / "text")]) == 2
    assert "--text-model: it reads the text of --sounds-like" in capsys.readouterr().err
    assert main(["search", str(folder / "table"), "--sounds-like", "low", "--text-model", str(folder / "tagger")]) == 1
    assert "holds no text network" in capsys.readouterr().err


def test_a_table_of_another_trunk_is_refused_with_both_ids(folder, tmp_path, capsys):
    other = write_tagger(str(tmp_path / "other"), audio_network(dim=8) + b"\x32\x00")  # the same, with another digest
    tracks = {"a": (np.ones(other.embedding_dim, np.float32), 1.0)}
    ids = {"embedding_id": other.embedding_id, "parts": other.embedding_parts, "trunk_ids": other.trunk_ids}
    publish_embedded(tmp_path / "table", tracks, **ids)
    words = ["search", str(tmp_path / "table"), "--sounds-like", "low", "--text-model", str(folder / "text")]
    capsys.readouterr()
    assert main(words) == 2
    said = capsys.readouterr().err
    wanted = json.loads((folder / "text" / "bundle.json").read_text())["text_network"]["trunk_id"]
    assert wanted in said and other.trunk_ids[0] in said and wanted != other.trunk_ids[0]


@pytest.mark.long
def test_from_sound_files_to_the_answer(tmp_path, capsys):
    bundle = import_pair(tmp_path)
    catalog, table = write_tones(tmp_path / "sounds"), str(tmp_path / "table")
    tag = ["tag", "--catalog", str(catalog), "--table", table, "--buckets", "2"]
    assert main([*tag, "--model", bundle.url]) == 0
    for text, kind in (("low hum", "low"), ("bright hiss", "high")):
        assert kinds(ask(capsys, tmp_path, text, "--limit", "5"))[:4] == [kind] * 4
    dated = ask(capsys, tmp_path, "mid", "--range", "year=1992..", "--tag", "mood/even=0.5", "--limit", "12")
    assert kinds(dated)[:2] == ["mid", "mid"] and len(dated["tracks"]) == 6
    # Another tagger with the same trunk: the same cosines.
    before = ask(capsys, tmp_path, "low hum", "--limit", "12")["tracks"]
    other = write_tagger(str(tmp_path / "plain"), audio_network(), statistics="none")
    assert main([*tag, "--model", other.url, "--accept-changes"]) == 0
    after = ask(capsys, tmp_path, "low hum", "--limit", "12")["tracks"]
    assert [(one["track_id"], one["tags"]) for one in after] == [(one["track_id"], one["tags"]) for one in before]
