import csv
import io
import json
import shutil

import pytest

from pipelines.cli import main
from pipelines.querying.failures import one_line
from pipelines.querying.questions import questions
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


def test_a_pipe_gets_all_rows(table, capsys):
    code, out, err = ask(capsys, table, "SELECT * FROM track_tags")
    assert (code, err) == (0, "") and out.splitlines()[-1] == "(792 rows)" and len(out.splitlines()) == 2 + 792 + 1


def test_statements_are_answered_one_after_another(table, capsys):
    sql = "SELECT 1 AS a; -- one\nSELECT ';' AS b;\n"
    assert ask(capsys, table, sql, "--format", "csv") == (0, "a\n1\nb\n;\n", "")
    assert ask(capsys, table, sql, "--safe-csv") == (0, "\ufeffa\n1\nb\n;\n", "")
    assert ask(capsys, table, sql)[1] == "a\n-\n1\n(1 row)\nb\n-\n;\n(1 row)\n"
    assert json.loads(ask(capsys, table, sql, "--json")[1]) == [[{"a": 1}], [{"b": ";"}]]
    code, out, err = ask(capsys, table, "SELECT 1 AS a; SELECT nope FROM tracks; SELECT 2 AS b", "--format", "csv")
    assert (code, out) == (2, "a\n1\n") and 'column "nope" not found' in err


@pytest.mark.parametrize(
    "sql, message",
    [
        ("SELECT 1 AS a; DROP VIEW tracks", "DROP statement: published tables are read-only, use SELECT"),
        (
            "SELECT 1;\nSELECT 2 FORM tracks",
            'syntax error at or near "tracks" in line 2, column 15: SELECT 2 FORM tracks',
        ),
        ("SELECT title\n  FROM tracks\n  LIMIT LIMIT 3", 'at or near "LIMIT" in line 3, column 9: LIMIT LIMIT 3'),
        ("SELECT 'é',\n'ö' FROM FROM x", "at or near \"FROM\" in line 2, column 10: 'ö' FROM FROM x"),
        ("-- nothing", "the SQL has no statement, only comments or space: add a query"),
    ],
)
def test_nothing_runs_if_one_statement_is_wrong(table, capsys, sql, message):
    code, out, err = ask(capsys, table, sql)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


def test_a_file_has_one_answer(table, capsys, tmp_path):
    code, _, err = ask(capsys, table, "SELECT 1; SELECT 2", "--output", str(tmp_path / "o.csv"))
    assert code == 2 and "the SQL has 2 statements, a file has one answer" in err and not list(tmp_path.iterdir())
    assert ask(capsys, table, "SELECT 1 AS a", "--output", str(tmp_path / "o.csv"))[1].endswith(": 1 row, 1 column\n")


@pytest.mark.parametrize(
    "name, hint",
    [
        ("nothing", "SHOW TABLES lists the tables"),
        ("track_tag", 'did you mean "track_tags"?'),
        ("previous_trakcs", 'did you mean "previous_tracks"?'),
        ("tag_id", 'did you mean "tag_ids"?'),
        ("pg_setings", "SHOW TABLES lists the tables"),
        ("main.tracs", 'did you mean "tracks"?'),
        ('"track tags"', 'did you mean "track_tags"?'),
    ],
)
def test_only_tables_of_the_snapshot_are_suggested(table, capsys, name, hint):
    code, _, err = ask(capsys, table, f"SELECT * FROM {name}")
    shown = name.removeprefix("main.").strip('"')
    assert code == 2 and err == f"catalog-tagger: Table with name {shown} does not exist: {hint}\n"


def test_explain_is_a_question(table, capsys):
    code, out, _ = ask(capsys, table, "EXPLAIN SELECT title FROM tracks WHERE track_id = 'a'")
    assert code == 0 and out.startswith("╭─ ") and "READ_PARQUET" in out and len(out.splitlines()) > 4
    assert ask(capsys, table, "EXPLAIN ANALYZE COPY tracks TO 'x'")[0] == 2


def test_typical_questions(table, capsys):
    listed = ask(capsys, table, "--questions")[1].splitlines()
    assert len(listed) == len(questions()) == 23 and listed[1] == f" 2. {questions()[1].question}"
    for words in ("16", "how much audio"):
        code, out, _ = ask(capsys, table, "--question", words, "--format", "csv")
        assert code == 0 and out == "status,tracks,minutes,megabytes\ntagged,24,3.2,0.0\nrejected,2,,0.0\n"
    document = json.loads(ask(capsys, table, "--questions", "--json")[1])["questions"]
    assert [one["number"] for one in document] == list(range(1, 24)) and document[15]["sql"].startswith("SELECT")
    for words, message in (
        ("24", "--question=24: there is none; --questions lists all 23"),
        ("which tracks", "questions have these words, give a number: "),
    ):
        code, out, err = ask(capsys, table, "--question", words)
        assert (code, out) == (2, "") and message in err
    assert "leave the SQL out" in ask(capsys, table, "SELECT 1", "--question", "1")[2]


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
