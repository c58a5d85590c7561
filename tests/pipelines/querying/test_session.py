"""QueryLimits on time and memory, and what SHOW TABLES and DESCRIBE say."""

import json
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from pipelines.cli import main
from pipelines.querying import time_limit
from pipelines.querying.session import QueryLimits, Session
from pipelines.querying.time_limit import TimeLimit
from pipelines.terminal.errors import CommandFailed
from tests.support.published import fake_bundle, publish_table
from transforms.schemas.tables import TABLES
from transforms.table.reader import open_snapshot
from transforms.table.versions import TableError

ENDLESS = "SELECT count(*) FROM range(1000000000000) AS t(i) WHERE hash(i) % 3 = 5"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    bundle = fake_bundle(root / "bundle")
    publish_table(root / "table", bundle, 6)
    publish_table(root / "table", bundle, 12)
    return str(root / "table")


def ask(table, capsys, sql, *words):
    code = main(["query", table, sql, "--format", "json", *words])
    out, err = capsys.readouterr()
    return json.loads(out) if code == 0 else (code, err)


def test_a_query_is_interrupted(table, capsys):
    for sql in (ENDLESS, "SELECT i FROM range(1000000000000) AS t(i) WHERE hash(i) % 3 = 5"):
        code, err = ask(table, capsys, sql, "--timeout", "0.3")
        assert code == 1 and "the query was interrupted after 0.3 s (--timeout): raise the limit" in err


def test_a_query_within_its_limit_is_not(table, capsys):
    assert ask(table, capsys, "SELECT 1 AS n", "--timeout", "60") == [{"n": 1}]


def test_a_query_that_does_not_react_ends_the_process(monkeypatch):
    monkeypatch.setattr(time_limit, "REACTION_S", 0.2)
    asked, ended = [], threading.Event()
    limit = TimeLimit(0.05, lambda: asked.append(1), lambda message: ended.set())
    with pytest.raises(CommandFailed, match=r"interrupted after 0\.05 s"), limit.running():
        assert ended.wait(20)
    assert len(asked) == 2


def test_time_between_two_steps_does_not_count(monkeypatch):
    limit, now = TimeLimit(30.0, lambda: None, lambda message: None), [0.0]
    monkeypatch.setattr(time_limit, "time", SimpleNamespace(monotonic=lambda: now[0]))
    for spent_s, between_s in ((3.0, 50.0), (4.0, 0.0)):
        with limit.running():
            now[0] += spent_s
        now[0] += between_s
    assert limit._left == 23.0


def test_errors_within_the_limit_stay_what_they_are():
    with pytest.raises(ZeroDivisionError), TimeLimit(60.0, lambda: None).running():
        raise ZeroDivisionError


def test_too_little_memory_is_one_line(table, capsys):
    # A single value that cannot be spilled.
    sql = "SELECT list(i) AS i FROM range(40000000) AS t(i)"
    code, err = ask(table, capsys, sql, "--memory-limit", "60MB")
    assert code == 1 and err.startswith("catalog-tagger: Out of Memory Error: ")
    assert "raise --memory-limit" in err and err.count("\n") == 1 and "SET " not in err


def test_show_tables(table, capsys):
    for sql in ("SHOW TABLES", "show tables ;", "\n SHOW\tTABLES"):
        rows = ask(table, capsys, sql)
        assert {row["table"]: row["rows"] for row in rows} == {
            "tracks": 12, "track_tags": 12 * 33, "embeddings": 12, "ledger": 14, "taxonomy": 33,
            "artist_tags": 4 * 33, "album_tags": 8 * 33, "neighbours": 0, "tag_ids": 34,
            "has_tag(TAG, SCORE)": None, "weighted_search(MAP {TAG: WEIGHT})": None, "similar_to(TRACK_ID)": None,
            "previous_..., snapshot_N_...": None,
        }  # fmt: skip
        assert all(row["description"].endswith(".") for row in rows)
    assert ask(table, capsys, "SHOW TABLES", "--snapshot", "1")[0]["rows"] == 6


@pytest.mark.parametrize("prefix", ["", "previous_", "snapshot_1_"])
@pytest.mark.parametrize("name", TABLES)
def test_describe_has_the_sentences(table, capsys, name, prefix):
    rows = ask(table, capsys, f"DESCRIBE {prefix}{name}")
    described = {row["column"]: row for row in rows}
    for field in TABLES[name]:
        assert described[field.name]["description"] == field.metadata[b"description"].decode()
        assert described[field.name]["null"] == ("yes" if field.nullable else "no")
    further = {
        row["column"]: (row["type"], row["description"]) for row in rows if row["column"] not in TABLES[name].names
    }
    assert further == ({"bpm": ("INTEGER", "Column of the catalog.")} if name == "tracks" else {})


def test_describe_tag_ids(table, capsys):
    for view in ("tag_ids", "previous_tag_ids", "snapshot_1_tag_ids"):
        rows = ask(table, capsys, f"DESCRIBE {view}")
        assert [(row["column"], row["type"], row["null"]) for row in rows] == [
            ("id", "VARCHAR", "no"),
            ("tag", "VARCHAR", "no"),
        ]
        assert rows[0]["description"].startswith("An id of a tag: its own, an alias, or an earlier id.")


def test_describe_of_a_query_is_duckdbs(table, capsys):
    assert ask(table, capsys, "DESCRIBE SELECT 1 AS n")[0]["column_name"] == "n"
    assert ask(table, capsys, 'desc "tracks";')[0]["column"] == "track_id"


@pytest.mark.parametrize("sql", ["DESCRIBE tracks; DROP VIEW tracks", "DESCRIBE nothing", "SHOW ALL"])
def test_nothing_hides_behind_them(table, capsys, sql):
    answer = ask(table, capsys, sql)
    assert answer[0] == 2 if sql != "SHOW ALL" else isinstance(answer, list | tuple)


def test_snapshot_as_a_function_gets_the_right_name(table, capsys):
    assert ask(table, capsys, "SELECT 'snapshot(3)' AS n") == [{"n": "snapshot(3)"}]
    code, err = ask(table, capsys, "SELECT * FROM snapshot(1)")
    assert code == 2 and "snapshot(1): write snapshot_1_tracks for the table tracks of snapshot 1" in err


def test_one_session_answers_about_several_snapshots(table):
    session = Session(open_snapshot(table), QueryLimits())
    for sql, count in (
        ("SELECT count(*) AS n FROM tracks", 12),
        ("SELECT count(*) AS n FROM snapshot_1_tracks", 6),
        ("SELECT count(*) AS n FROM previous_tracks", 6),
    ):
        with session.ask(sql) as reply:
            assert list(reply.rows()) == [[count]]
    with pytest.raises(TableError, match="no snapshot 9"), session.ask("FROM snapshot_9_tracks"):
        pass


LEAVE_EARLY = """
import sys
from pipelines.querying.session import QueryLimits, Session
from transforms.table.reader import open_snapshot
session = Session(open_snapshot(sys.argv[1]), QueryLimits())
for number in range(24):
    try:
        with session.ask("SELECT * FROM track_tags") as reply:
            if number % 3:
                next(reply.rows())
            if number % 3 == 2:
                raise BrokenPipeError
    except BrokenPipeError:
        pass
print("left")
"""


def test_an_answer_may_be_left_early(table):
    """As with `| head`: DuckDB's threads read ahead, and would crash the process after their connection is closed."""
    done = subprocess.run([sys.executable, "-c", LEAVE_EARLY, table], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "left\n"), done.stderr[-2000:]
