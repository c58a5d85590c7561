import csv
import io
import json
import shutil

import pytest

from pipelines.cli import main
from pipelines.querying.failures import one_line
from tests.support.manifests import edit_manifest
from tests.support.published import fake_bundle, publish_table
from transforms.table.layout import snapshot_path
from transforms.table.reader import open_snapshot


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    bundle = fake_bundle(root / "bundle")
    publish_table(root / "table", bundle, 18)
    publish_table(root / "table", bundle, 24)
    return str(root / "table")


def ask(capsys, *words):
    code = main(["query", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_json_is_valid_for_nested_values_nulls_and_times(table, capsys):
    sql = (
        "SELECT top_tags, NULL AS nothing, TIMESTAMP '2026-01-02 03:04:05' AS at FROM tracks ORDER BY track_id LIMIT 2"
    )
    code, out, _ = ask(capsys, table, sql, "--format", "json")
    rows = json.loads(out)
    assert code == 0 and len(rows) == 2
    assert rows[0]["nothing"] is None and rows[0]["at"] == "2026-01-02T03:04:05"
    assert set(rows[0]["top_tags"][0]) == {"tag", "score"}


def test_csv_has_all_rows(table, capsys):
    _, out, _ = ask(capsys, table, "SELECT track_id, tag, score FROM track_tags", "--format", "csv")
    assert len(list(csv.DictReader(io.StringIO(out)))) == 24 * 33


def test_scores_read_as_they_were_published(table, capsys):
    _, out, _ = ask(capsys, table, "SELECT score FROM track_tags", "--format", "csv")
    assert all(len(line) <= 6 for line in out.splitlines()[1:])


def test_no_rows(table, capsys):
    assert ask(capsys, table, "SELECT 1 AS a WHERE false", "--format", "json")[1] == "[]\n"
    assert ask(capsys, table, "SELECT 1 AS a WHERE false", "--format", "csv")[1] == "a\n"
    assert ask(capsys, table, "SELECT 1 AS a WHERE false")[1].endswith("(0 rows)\n")


def test_a_long_answer_is_cut_in_the_table_format_only(table, capsys):
    _, out, _ = ask(capsys, table, "SELECT * FROM track_tags")
    assert out.splitlines()[-1] == "(40 of 792 rows; 752 left out: --format csv prints all)"


def test_an_older_snapshot_and_what_changed_since(table, capsys):
    sql = "SELECT count(*) AS n FROM tracks"
    assert json.loads(ask(capsys, table, sql, "--snapshot", "1", "--format", "json")[1]) == [{"n": 18}]
    sql = "SELECT count(*) AS n FROM ledger ANTI JOIN previous_ledger USING (track_id)"
    assert json.loads(ask(capsys, table, sql, "--format", "json")[1]) == [{"n": 6}]


def test_snapshots_by_number(table, capsys):
    sql = "SELECT (SELECT count(*) FROM snapshot_1_tracks), (SELECT count(*) FROM SNAPSHOT_2_Tracks)"
    assert ask(capsys, table, sql, "--format", "csv")[1].splitlines()[1] == "18,24"
    assert ask(capsys, table, sql, "--snapshot", "1", "--format", "csv")[1].splitlines()[1] == "18,24"
    sql = "SELECT count(*) AS n FROM track_tags ANTI JOIN snapshot_1_track_tags AS old USING (track_id, tag, score)"
    now, then = (open_snapshot(table, number).scan("track_tags").to_pylist() for number in (2, 1))
    known = {(row["track_id"], row["tag"], row["score"]) for row in then}
    new = [row for row in now if (row["track_id"], row["tag"], row["score"]) not in known]
    assert new and json.loads(ask(capsys, table, sql, "--format", "json")[1]) == [{"n": len(new)}]


def test_snapshots_by_number_are_read_only(table, capsys):
    code, out, err = ask(capsys, table, "SELECT * FROM snapshot_7_tracks")
    assert (code, out) == (1, "") and "no snapshot 7; snapshots are 1 to 2" in err
    assert ask(capsys, table, "SELECT 'snapshot_7_tracks' -- snapshot_8_tracks")[0] == 0
    for sql in (
        "DROP VIEW snapshot_1_tracks",
        "CREATE TABLE a AS FROM snapshot_1_tracks",
        "DELETE FROM snapshot_1_tracks",
    ):
        code, out, err = ask(capsys, table, sql)
        assert (code, out) == (2, "") and "read-only" in err
    other = open_snapshot(table, 1).files("tracks")[0]
    assert ask(capsys, table, f"SELECT * FROM snapshot_1_ledger, read_parquet('{other}')")[0] == 1
    assert "does not exist" in ask(capsys, table, "SELECT * FROM snapshot_01_tracks")[2]


@pytest.mark.parametrize("number", ["0", "00", "99999999999999999999"])
def test_numbers_that_are_none(table, capsys, number):
    code, out, err = ask(capsys, table, f"SELECT * FROM snapshot_{number}_tracks")
    assert code in (1, 2) and out == "" and err.count("\n") == 1


def test_the_snapshot_of_a_day(table, tmp_path, capsys):
    copy = shutil.copytree(table, tmp_path / "table")
    for number in (1, 2):
        path = copy / snapshot_path(number)
        created = f"2026-01-0{number}T05:00:00+00:00"
        edit_manifest(path, lambda fields, created=created: fields.update(created=created))
    for day, tracks in (("2026-01-01", 18), ("2026-01-02T04:59", 18), ("2026-01-02", 24)):
        answer = ask(capsys, str(copy), "SELECT count(*) AS n FROM tracks", "--as-of", day, "--format", "json")
        assert json.loads(answer[1]) == [{"n": tracks}]


@pytest.mark.parametrize(
    "words, code, message",
    [
        (["SELEC 1"], 2, 'syntax error at or near "SELEC"'),
        (["SELECT nope FROM tracks"], 2, 'column "nope" not found'),
        (["SELECT * FROM nope"], 2, "nope does not exist"),
        (["SELECT * FROM read_text('/etc/passwd')"], 1, "Cannot access file"),
        (["DROP VIEW tracks"], 2, "read-only, use SELECT"),
        (["SELECT 1", "--snapshot", "7"], 1, "no snapshot 7; snapshots are 1 to 2"),
        (["SELECT 1", "--as-of", "1999-12-31"], 1, "no snapshot as of 1999-12-31; the first one, 1, is from "),
        (["SELECT 1", "--as-of", "yesterday"], 2, "'yesterday' is not a time: give a date such as 2026-01-31"),
        (["SELECT 1", "--as-of", "2026-01-31", "--snapshot", "1"], 2, "exclude each other"),
        (["SELECT CAST(title AS INT) FROM tracks"], 1, "Could not convert"),
        (["SELECT 1", "--format", "xml"], 2, "is not one of 'table', 'csv', 'json'"),
    ],
)
def test_errors_are_one_line_with_an_exit_code(table, capsys, words, code, message):
    found, out, err = ask(capsys, table, *words)
    assert (found, out) == (code, "") and message in err.splitlines()[0]
    assert err.startswith("catalog-tagger: ") and "Traceback" not in err


def test_a_folder_without_a_table(tmp_path, capsys):
    code, _, err = ask(capsys, str(tmp_path), "SELECT 1")
    assert code == 1 and "no snapshot is published here" in err


def test_sql_from_standard_input(table, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 7 AS n"))
    assert json.loads(ask(capsys, table, "-", "--format", "json")[1]) == [{"n": 7}]


def test_a_traceback_of_the_storage_shrinks_to_its_last_line():
    assert one_line(ValueError("Traceback (most recent call last):\n  File x\nNotFound: gone")) == "NotFound: gone"
