"""The commands that read a table, on gs://."""

import json

import pytest

from pipelines.cli import main
from tests.support.published import fake_bundle, publish_table
from tests.support.synth import music_file
from transforms import storage
from transforms.formats.parquet import parquet_table
from transforms.table.snapshots import read_snapshot


@pytest.fixture
def table(gcs, tmp_path):
    url = storage.join(gcs, "tables")
    bundle = fake_bundle(tmp_path / "bundle")
    publish_table(url, bundle, 6)
    publish_table(url, bundle, 12)
    return url


def test_query_describe_verify_sql(table, capsys):
    sql = "SELECT count(*) AS n FROM track_tags JOIN tracks USING (track_id) ANTI JOIN previous_tracks USING (track_id)"
    assert main(["query", table, sql, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"n": 6 * 33}]
    assert main(["describe", table, "--format", "json"]) == 0
    assert [s["number"] for s in json.loads(capsys.readouterr().out)["snapshots"]] == [1, 2]
    assert main(["verify", table]) == 0
    capsys.readouterr()
    assert main(["sql", table, "--engine", "bigquery"]) == 0
    assert f"{table}/manifests/0000000002/ledger.txt" in capsys.readouterr().out


def test_snapshots_diff_rollback(table, gcs, capsys):
    assert main(["rollback", table, "1"]) == 0
    capsys.readouterr()
    assert main(["snapshots", table, "--json"]) == 0
    assert [one["rolled_back_to"] for one in json.loads(capsys.readouterr().out)["snapshots"]] == [None, None, 1]
    out = storage.join(gcs, "diff")
    for after in ("2", "3"):  # the second comparison replaces the first one
        assert main(["diff", table, "1", after, "--output", out]) == 0
    assert json.loads(storage.read_bytes(storage.join(out, "diff.json")))["tracks"]["unchanged"] == 8
    assert storage.exists(storage.join(out, "tracks.parquet"))
    storage.delete(storage.join(table, read_snapshot(table, 2).files("tracks")[0].path))
    assert main(["rollback", table, "2"]) == 3


def test_answers_and_exports_are_written_there(table, gcs, capsys):
    answer = storage.join(gcs, "answers/tracks.csv")
    for flags, code in (([], 0), ([], 2), (["--force"], 0)):
        assert main(["query", table, "SELECT count(*) AS n FROM tracks", "--output", answer, *flags]) == code
        assert storage.read_bytes(answer) == b"n\n12\n"
    wide = storage.join(gcs, "wide.parquet")
    assert main(["export", table, "--wide", "--output", wide]) == 0
    found = parquet_table(storage.read_bytes(wide))
    assert (found.num_rows, found.num_columns) == (12, 34)
    data = music_file("flac", 0.5)
    storage.create(storage.join(gcs, "music/audio/track-0003.flac"), data)
    capsys.readouterr()
    words = ["--into-files", storage.join(gcs, "copies"), "--catalog-root", storage.join(gcs, "music"), "--json"]
    assert main(["export", table, *words]) == 1
    assert json.loads(capsys.readouterr().out)["tracks"] == {"written": 1, "failed": 11}
    copy = storage.read_bytes(storage.join(gcs, "copies/audio/track-0003.flac"))
    assert b"TAGS_MOOD=" in copy and copy.endswith(data[-1000:])


def test_a_missing_object_is_one_line(table, capsys):
    storage.delete(storage.join(table, read_snapshot(table, 2).files("tracks")[0].path))
    assert main(["query", table, "SELECT count(*) FROM tracks"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("catalog-tagger: ") and len(err.splitlines()) == 1 and "NotFound" in err
    assert main(["verify", table]) == 1


def test_manifests_hold_names_that_bigquery_can_open(table):
    lines = storage.read_bytes(storage.join(table, "manifests/0000000002/tracks.txt")).decode().splitlines()
    assert lines and all(line.startswith(table + "/data/run=") and storage.exists(line) for line in lines)
