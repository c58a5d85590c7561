"""The commands that find music: what they print, write and refuse."""

import csv
import io
import json
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.support.composed import composed_table
from transforms.formats.sealing import sealed_bytes
from transforms.table.layout import report_paths


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return composed_table(tmp_path_factory.mktemp("found"), 60).root


def ask(capsys, *words):
    """The document of a command."""
    capsys.readouterr()
    code = main([*words, "--json"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return json.loads(shown.out)


def refused(capsys, *words):
    """The one line of a refusal."""
    capsys.readouterr()
    assert main([*words]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1
    return shown.err


def test_search_explains_each_track(table, capsys):
    words = ["search", table, "calm flute xyz", "--tag", "genre/techno=-1", "--range", "tempo=60..120", "--limit", "3"]
    document = ask(capsys, *words)
    assert document["unmatched"] == ["xyz"] and len(document["tracks"]) == 3
    assert [one["filter"] for one in document["filters"]] == ["bpm 60..120"]
    for track in document["tracks"]:
        assert track["score"] == pytest.approx(sum(one["value"] for one in track["tags"]), abs=1e-3)
        assert {one["term"] for one in track["tags"]} == {"mood/calm", "instrument/flute", "genre/techno"}
    capsys.readouterr()
    assert main([*words, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["track_id"] for row in rows] == [track["track_id"] for track in document["tracks"]]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "words that no tag and no synonym has: xyz" in printed and "bpm 60..120:" in printed


def test_search_in_compatible_keys(table, capsys):
    found = ask(capsys, "search", table, "--key-compatible", "Am", "--limit", "100")["tracks"]
    keys = ask(capsys, "query", table, "SELECT track_id, key FROM tracks")
    fits = {row["track_id"] for row in keys if row["key"] in ("A minor", "C major", "E minor", "D minor")}
    assert {track["track_id"] for track in found} == fits and fits


def test_search_names_the_filter_that_emptied_the_answer(table, capsys):
    document = ask(capsys, "search", table, "--tag", "calm", "--range", "year=2100..")
    assert document["tracks"] == [] and document["emptied_by"] == "year 2100..: no track meets this condition"
    assert main(["search", table, "--tag", "calm", "--range", "year=2100.."]) == 0
    assert "nothing is found: year 2100..: no track" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["kazoo"], "words 'kazoo': no tag and no synonym has any of them"),
        (["kazoo for the", "--range", "tempo=60.."], "words 'kazoo for the': no tag and no synonym has any of them"),
        (["--tag", "calm=0"], "all weights are 0, so no tag counts"),
    ],
)
def test_search_lists_nothing_if_nothing_ranks_the_tracks(table, capsys, words, told):
    document = ask(capsys, "search", table, *words)
    assert document["tracks"] == [] and document["emptied_by"] == told
    assert main(["search", table, *words]) == 0
    assert capsys.readouterr().out.endswith(f"nothing is found: {told}\n")


def test_search_by_conditions_alone_is_in_the_order_of_ids(table, capsys):
    words = ["search", table, "--range", "tempo=60..120", "--limit", "5"]
    ids = [track["track_id"] for track in ask(capsys, *words)["tracks"]]
    assert ids == sorted(ids) and len(ids) == 5
    assert main(words) == 0
    assert "conditions alone are given: the tracks are in the order of their ids" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "nothing is asked"),
        (["--tag", "calm=7"], "from -1 to 1"),
        (["--tag", "calm", "--tag", "calm"], "--tag calm: it is given twice"),
        (["--range", "loudness=1..2"], "loudness_lufs"),
        (["--range", "tempo"], "write COLUMN=VALUE"),
        (["--where", "1 = "], "--where"),
    ],
)
def test_search_refuses(table, capsys, words, told):
    assert told in refused(capsys, "search", table, *words)


def test_a_playlist_is_written_and_extended(table, tmp_path, capsys):
    first, second = str(tmp_path / "a.m3u8"), str(tmp_path / "b.xspf")
    made = ask(capsys, "playlist", table, "--seed", "track-0001", "--tracks", "4", "--output", first)
    ids = [track["track_id"] for track in made["tracks"]]
    assert len(ids) == 4 and "track-0001" not in ids and made["tracks"][0]["similarity"] is not None
    more = ask(capsys, "playlist", table, "calm", "--tracks", "7", "--extend", first, "--output", second)
    assert [track["track_id"] for track in more["tracks"]][:4] == ids and len(more["tracks"]) == 7
    assert "already" in refused(capsys, "playlist", table, "calm", "--tracks", "3", "--extend", first)
    assert "exists already" in refused(capsys, "playlist", table, "calm", "--output", first)
    assert "suffix" in refused(capsys, "playlist", table, "calm", "--output", str(tmp_path / "c.txt"))
    without = ask(capsys, "playlist", table, "calm", "--exclude-from", first, "--force", "--output", second)
    assert not {track["track_id"] for track in without["tracks"]} & set(ids)
    assert main(["playlist", table, "calm", "--output", f"{table}/x.csv"]) == 1
    assert "is inside of the table" in capsys.readouterr().err


def test_a_playlist_of_minutes_with_a_flow(table, capsys):
    made = ask(capsys, "playlist", table, "--tag", "mood/soft", "--minutes", "30", "--flow", "tempo=rising")
    tempi = [track["tempo"] for track in made["tracks"]]
    assert 20 < made["minutes"] <= 30 and tempi[0] < tempi[-1]
    assert "write PROPERTY=SHAPE" in refused(capsys, "playlist", table, "calm", "--flow", "tempo")
    assert "tempo=rising" in refused(capsys, "playlist", table, "calm", "--flow", "tempo=up")


def test_a_playlist_ends_where_no_more_tracks_fit(table, capsys):
    words = ["playlist", table, "--tag", "genre/techno", "--per-artist", "9", "--minutes", "600"]
    made = ask(capsys, *words)
    question = "SELECT track_id, score, is_positive FROM track_tags WHERE tag = 'genre/techno'"
    fits = {
        row["track_id"] for row in ask(capsys, "query", table, question) if row["score"] > 0.5 or row["is_positive"]
    }
    assert {track["track_id"] for track in made["tracks"]} <= fits and made["tracks"] and made["ran_out"]
    assert made["left_out"]["fit"] == made["searched"] - len(fits) > 0
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert f"shorter than asked, {made['minutes']:.1f} of 600 minutes: no more tracks fit: " in printed
    assert f"{made['left_out']['fit']} other tracks are unlike what is asked for" in printed
    none = ask(capsys, "playlist", table, "kazoo", "--minutes", "30")
    assert none["tracks"] == [] and "no synonym" in none["emptied_by"] and none["unmatched"] == ["kazoo"]
    assert not ask(capsys, "playlist", table, "soft", "--minutes", "20")["ran_out"]


def test_a_playlist_says_which_paths_players_will_not_find(table, tmp_path, capsys):
    words = ["playlist", table, "calm", "--tracks", "4", "--force", "--output", str(tmp_path / "a.m3u8")]
    made = ask(capsys, *words)
    uris = [track["location"] for track in made["tracks"]]
    assert not any(uri.startswith("/") for uri in uris)
    assert made["notes"] == [
        "players will not find 4 of 4 tracks: their paths start from the catalog's folder, which is not known here: "
        "give --catalog-root FOLDER"
    ]
    given = ask(capsys, *words, "--catalog-root", str(tmp_path))
    assert [track["location"] for track in given["tracks"]] == [f"{tmp_path}/{uri}" for uri in uris]
    assert given["notes"] == []


def test_a_playlist_has_the_paths_that_the_report_of_the_run_leads_to(tmp_path, capsys):
    snapshot = composed_table(tmp_path, 24)
    words = ["playlist", snapshot.root, "calm", "--tracks", "3", "--force", "--output", str(tmp_path / "a.m3u8")]
    uris = [track["location"] for track in ask(capsys, *words)["tracks"]]
    report = Path(snapshot.root, report_paths(snapshot.manifest.run.run_id)[1])
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_bytes(sealed_bytes({"catalog": str(tmp_path / "music" / "catalog.csv")}))
    for uri in uris[:2]:
        (tmp_path / "music" / uri).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "music" / uri).touch()
    made = ask(capsys, *words)
    assert [track["location"] for track in made["tracks"]] == [
        *(f"{tmp_path}/music/{uri}" for uri in uris[:2]),
        uris[2],
    ]
    assert made["notes"][0] == f"paths start from {tmp_path}/music, where the audio was when the table was tagged"
    assert made["notes"][1].startswith("players will not find 1 of 3 tracks")


def test_a_mix_has_the_shares(table, capsys):
    words = ["mix", table, "--style", "folk=60%", "--style", "genre/funk=40", "--limit", "5", "--add", "track-0002"]
    document = ask(capsys, *words)
    assert [track["style"] for track in document["tracks"]].count("genre/folk") == 3
    assert document["shares"] == {"genre/folk": 0.6, "genre/funk": 0.4}
    assert all(track["to_added"] is not None and track["to_subtracted"] is None for track in document["tracks"])
    assert main(words) == 0
    assert "genre/funk: 40 % asked, 2 of 5 tracks" in capsys.readouterr().out
    assert "from 0 to 100" in refused(capsys, "mix", table, "--style", "folk=much")
    assert "missing --style" in refused(capsys, "mix", table)


def test_a_path_leads_from_one_track_to_the_other(table, capsys):
    document = ask(capsys, "path", table, "track-0001", "track-0040", "--between", "3")
    ids = [step["track_id"] for step in document["steps"]]
    assert ids[0] == "track-0001" and ids[-1] == "track-0040" and 3 <= len(ids) <= 5
    assert "track nobody" in refused(capsys, "path", table, "track-0001", "nobody")
    assert "two tracks" in refused(capsys, "path", table, "track-0001", "track-0001")


def test_recommendations_of_each_kind(table, capsys):
    for of, key in (("artists", "artist-001"), ("albums", "album-001-0"), ("tracks", "track-0003")):
        document = ask(capsys, "recommend", table, "--artist", "artist-001", "--of", of, "--limit", "3")
        assert len(document[of]) == 3 and key not in {one["id"] for one in document[of]}
    assert "exactly one" in refused(capsys, "recommend", table)
    assert "exactly one" in refused(capsys, "recommend", table, "--artist", "a", "--track", "b")
    assert "album nobody" in refused(capsys, "recommend", table, "--album", "nobody")


def test_a_profile_tells_sentences(table, tmp_path, capsys):
    history = tmp_path / "history.csv"
    history.write_text(
        "track_id,plays\n" + "".join(f"track-{n:04d},{1 + n % 3}\n" for n in range(0, 60, 4)) + "gone,1\n"
    )
    document = ask(capsys, "profile", table, str(history), "--limit", "3")
    assert document["unknown"] == ["gone"] and document["tracks"] == 15 and len(document["moods"]) == 3
    assert document["sentences"][-1].startswith("This describes recordings")
    assert main(["profile", table, str(history)]) == 0
    assert document["sentences"][0] in capsys.readouterr().out
    assert "none.csv" in refused(capsys, "profile", table, str(tmp_path / "none.csv"))
