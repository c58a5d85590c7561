"""`similar`: the same answers with and without an index, filters, duplicates, artists, and files of no catalog."""

import dataclasses
import json
import shutil
import types

import numpy as np
import pytest

from pipelines.cli import main
from pipelines.reading.audio_file import analysed
from pipelines.reading.similar import _searched
from tests.support.neighbours import publish_table_neighbours
from tests.support.published import fake_bundle, publish_table
from tests.support.synth import encode, music
from transforms.discovery.similar import Wanted, open_finder
from transforms.table.reader import open_snapshot

TRACKS = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`bundle`; `plain`: a table without an index; `found`: its copy with one."""
    folder = tmp_path_factory.mktemp("similar")
    publish_table(folder / "plain", fake_bundle(folder / "bundle"), tracks=TRACKS)
    shutil.copytree(folder / "plain", folder / "found")
    publish_table_neighbours(str(folder / "found"))
    return folder


@pytest.fixture
def ask(folder, capsys):
    def similar(table, *words):
        code = main(["--quiet", "similar", str(folder / table), *words, "--json"])
        told = capsys.readouterr()
        return json.loads(told.out) if code == 0 else (code, told.err)

    return similar


def ids(answer):
    return [row["track_id"] for row in answer["tracks"]]


def test_the_index_and_the_exact_search_agree(ask) -> None:
    plain, found, exact = ask("plain", "track-0003"), ask("found", "track-0003"), ask("found", "track-0003", "--exact")
    assert plain["tracks"] == found["tracks"] == exact["tracks"] and len(ids(plain)) == 10
    assert (plain["indexed"], found["indexed"], exact["indexed"]) == (False, True, False)
    assert "track-0003" not in ids(found)
    assert plain["notes"] == ["all tracks were compared: the search is exact"]
    assert found["notes"] == ["found through the search index"]
    near = [row["similarity"] for row in found["tracks"]]
    assert near == sorted(near, reverse=True)


def test_each_answer_names_what_both_have(folder, ask) -> None:
    snapshot = open_snapshot(str(folder / "plain"))
    rows = ask("found", "track-0003", "--limit", "30")["tracks"]
    tags = snapshot.scan("track_tags").to_pylist()
    own = {row["tag"]: row["score"] for row in tags if row["track_id"] == "track-0003"}
    artists = {row["track_id"]: row["artist_id"] for row in snapshot.scan("tracks").to_pylist()}
    for row in rows:
        other = [t for t in tags if t["track_id"] == row["track_id"] and t["is_positive"]]
        best = sorted(other, key=lambda tag: (-min(tag["score"], own[tag["tag"]]), tag["tag"]))[:3]
        assert row["shared_tags"] == [tag["tag"] for tag in best]
        assert row["same_artist"] == (artists[row["track_id"]] == artists["track-0003"])
    assert any(row["same_artist"] for row in rows) and not all(row["same_artist"] for row in rows)


@pytest.mark.parametrize("table", ["plain", "found"])
def test_a_filter_and_a_cap_hold(folder, ask, table: str) -> None:
    rows = open_snapshot(str(folder / "plain")).scan("tracks").to_pylist()
    years = {row["track_id"]: row["year"] for row in rows}
    artists = {row["track_id"]: row["artist_id"] for row in rows}
    middle = sorted(years.values())[30]
    answer = ask(table, "track-0003", "--filter", f"year >= {middle}", "--per-artist", "1", "--limit", "8")
    found = [artists[track] for track in ids(answer)]
    assert all(years[track] >= middle for track in ids(answer)) and len(found) == len(set(found)) > 1
    everything = ask(table, "track-0003", "--filter", f"year >= {middle}", "--limit", "59")
    wanted = {track for track, year in years.items() if year >= middle} - {"track-0003"}
    assert set(ids(everything)) == wanted
    assert everything["notes"][-1] == f"{len(wanted)} tracks: --filter leaves no more"
    none = ask(table, "track-0003", "--filter", "year > 9999")
    assert ids(none) == [] and none["notes"][-1] == "no track: --filter 'year > 9999' leaves none"


def test_near_duplicates_are_left_out_of_the_answer(folder) -> None:
    finder = open_finder(open_snapshot(str(folder / "found")))
    vector = finder.vector_of("track-0003")
    same = finder.find(vector, Wanted(limit=3, duration_s=8.0))
    kept = finder.find(vector, Wanted(limit=3, duration_s=8.0, with_duplicates=True))
    assert kept.track_ids[0] == "track-0003" and same.duplicates == 1
    assert "track-0003" not in same.track_ids and kept.track_ids[1:] == same.track_ids[:2]
    assert finder.find(vector, Wanted(limit=3, duration_s=4.0)).track_ids == kept.track_ids


@pytest.mark.long
def test_a_file_is_analysed_like_a_track(folder, ask, tmp_path) -> None:
    audio = tmp_path / "song.wav"
    audio.write_bytes(encode(music(8.0)))
    bundle = str(folder / "bundle")
    answer = ask("plain", str(audio), "--model", bundle)
    snapshot = open_snapshot(str(folder / "plain"))
    heard, finder = analysed(snapshot, str(audio), bundle), open_finder(snapshot)
    scores = np.array([[heard.scores[tag] for tag in finder.space.tags]], np.float32)
    vector = finder.space.vectors(heard.embedding[None], scores)[0]
    assert ids(answer) == list(finder.find(vector, Wanted(limit=10)).track_ids) and len(ids(answer)) == 10
    audio.write_bytes(b"no audio")
    code, err = ask("plain", str(audio), "--model", bundle)
    assert code == 1 and "song.wav: it cannot be analysed: " in err


@pytest.mark.parametrize(
    ("query", "words", "code", "said"),
    [
        ("nobody", (), 1, "nobody: snapshot 1 has no track of this id, and no file of this name exists"),
        ("broken-a", (), 1, "broken-a: the track is rejected (empty), and no file"),
        ("track-0003", ("--filter", "colour = 1"), 2, "--filter 'colour = 1': "),
        ("track-0003", ("--limit", "0"), 2, "Invalid value for '--limit'"),
    ],
)
def test_what_cannot_be_answered_is_named(ask, query: str, words: tuple[str, ...], code: int, said: str) -> None:
    found, err = ask("plain", query, *words)
    assert found == code and said in err and err.count("\n") == 1


def test_a_file_needs_the_bundle_of_the_table(folder, ask, tmp_path) -> None:
    audio = tmp_path / "song.wav"
    audio.write_bytes(b"no audio")
    assert "give --model BUNDLE" in ask("plain", str(audio))[1]


@pytest.mark.parametrize(
    ("added", "removed", "told"),
    [
        (1, 0, "it lacks 1 track that came later: --exact compares these too"),
        (0, 3, "3 tracks that it has and the snapshot has not are left out"),
        (0, 0, "it has the same tracks, whose rows have changed since"),
    ],
)
def test_an_index_of_an_earlier_snapshot_is_named(folder, added, removed, told) -> None:
    snapshot = open_snapshot(str(folder / "found"))
    record = {**snapshot.manifest.run.neighbours, "content_hash": "another", "added": added, "removed": removed}
    run = dataclasses.replace(snapshot.manifest.run, neighbours=record)
    later = dataclasses.replace(snapshot, manifest=dataclasses.replace(snapshot.manifest, run=run))
    finder = types.SimpleNamespace(indexed=True, snapshot=later)
    assert _searched(finder) == f"found through the search index, which was made from snapshot 1; {told}"
