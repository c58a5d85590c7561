"""The commands that find music, on tables of version 0.1, on tables without audio facts, and on mixed snapshots."""

import json
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.pipelines.test_mixed_snapshots import mixed  # noqa: F401 - a fixture
from tests.support.tiny import TAXONOMY

OLD = str(Path(__file__).parents[1] / "compatibility" / "v0_1" / "table")
TAG = TAXONOMY.tag_ids[0]


def told(capsys, *words):
    capsys.readouterr()
    code = main([*words, "--quiet"])
    return code, *capsys.readouterr()


def document(capsys, *words):
    code, out, error = told(capsys, *words, "--json")
    assert code == 0, error
    return json.loads(out)


def test_a_table_of_version_0_1_is_searched(capsys):
    tracks = document(capsys, "query", OLD, "SELECT track_id FROM tracks ORDER BY track_id")
    ids = [row["track_id"] for row in tracks]
    tags = [row["tag"] for row in document(capsys, "query", OLD, "SELECT tag FROM taxonomy ORDER BY tag")]
    found = document(capsys, "search", OLD, "--tag", tags[0], "--limit", "100")
    assert sorted(track["track_id"] for track in found["tracks"]) == ids
    made = document(capsys, "playlist", OLD, "--seed", ids[0], "--tracks", "3", "--per-artist", "3")
    assert 1 <= len(made["tracks"]) <= 3
    assert document(capsys, "mix", OLD, "--style", f"{tags[0]}=100")["tracks"]
    assert document(capsys, "path", OLD, ids[0], ids[-1])["steps"][-1]["track_id"] == ids[-1]
    assert document(capsys, "recommend", OLD, "--track", ids[0])["tracks"]
    code, _, error = told(capsys, "recommend", OLD, "--track", ids[0], "--of", "artists")
    assert code == 2 and "no table artist_tags: its catalog has no values of artist_id" in error


def test_a_mixed_snapshot_is_searched_by_scores(mixed, capsys):  # noqa: F811
    found = document(capsys, "search", mixed.root, "--tag", TAG, "--limit", "100")
    assert [track["track_id"] for track in sorted(found["tracks"], key=lambda one: one["track_id"])] == [
        f"t{i}" for i in range(7)
    ]


def test_vectors_of_two_embeddings_are_never_compared(mixed, capsys):  # noqa: F811
    new, old = ("t0", "t1", "t2", "t3"), ("t4", "t5", "t6")
    for words in (
        ("path", mixed.root, new[0], old[0]),
        ("playlist", mixed.root, "--seed", new[0], "--seed", old[0]),
        ("mix", mixed.root, "--style", f"{TAG}=100", "--add", new[0], "--subtract", old[0]),
    ):
        code, out, error = told(capsys, *words)
        assert (code, out) == (2, "") and "not comparable (t" in error and " has em-" in error
    for words in (("playlist", mixed.root, "--tag", TAG), ("mix", mixed.root, "--style", f"{TAG}=100")):
        code, out, error = told(capsys, *words)
        assert (code, out) == (2, "") and "name seeds, whose embedding is then used" in error
    for seed, own in ((new[0], new), (old[0], old)):
        made = document(capsys, "playlist", mixed.root, "--seed", seed, "--per-artist", "9")
        assert {track["track_id"] for track in made["tracks"]} <= set(own) - {seed}
        tracks = document(capsys, "recommend", mixed.root, "--track", seed)["tracks"]  # without near-duplicates
        assert tracks and {track["id"] for track in tracks} <= set(own) - {seed}


def test_a_table_without_tempo_key_and_energy_says_so(mixed, capsys):  # noqa: F811
    for name in ("tempo", "key", "energy"):
        code, _, error = told(capsys, "playlist", mixed.root, "--seed", "t0", "--flow", f"{name}=constant")
        assert code == 2 and f"flow of {name}" in error and "leave this flow out" in error
    code, _, error = told(capsys, "search", mixed.root, "--key-compatible", "8A")
    assert code == 2 and "no such column; columns are track_id" in error


@pytest.mark.parametrize("words", [("search", "calm"), ("path", "a", "b"), ("recommend", "--track", "a")])
def test_a_folder_without_a_table_is_refused(tmp_path, capsys, words):
    code, out, error = told(capsys, words[0], str(tmp_path), *words[1:])
    assert code == 1 and out == "" and "no snapshot is published here" in error
