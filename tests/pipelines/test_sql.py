import shutil

import duckdb
import pytest

from pipelines.cli import main
from pipelines.querying.questions import questions
from tests.support.published import fake_bundle, publish_table
from transforms.table.reader import open_snapshot


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    publish_table(root / "table", fake_bundle(root / "bundle"), 12)
    return str(root / "table")


def test_duckdb_opens_what_is_printed(table, capsys):
    assert main(["sql", table, "--engine", "duckdb"]) == 0
    with duckdb.connect(":memory:") as connection:
        connection.execute(capsys.readouterr().out)
        assert connection.sql("SELECT count(*) FROM ledger").fetchall() == [(14,)]


def test_other_snapshots_have_views_with_their_number(table, capsys):
    for engine in ("duckdb", "spark"):
        assert main(["sql", table, "--engine", engine, "--also-snapshot", "1"]) == 0
        printed = capsys.readouterr().out
        assert "snapshot_1_tracks" in printed
        if engine == "duckdb":
            with duckdb.connect(":memory:") as connection:
                connection.execute(printed)
                sql = "SELECT (SELECT count(*) FROM ledger), (SELECT count(*) FROM snapshot_1_ledger)"
                assert connection.sql(sql).fetchall() == [(14, 14)]
    assert main(["sql", table, "--engine", "duckdb", "--also-snapshot", "9"]) == 1
    assert "no snapshot 9; snapshots are 1" in capsys.readouterr().err


def test_the_snapshot_before_has_views(table, tmp_path, capsys):
    """Questions 6 and 7 are about it: with these views, all typical questions run in DuckDB itself."""
    assert main(["sql", table, "--engine", "duckdb", "--previous"]) == 2
    assert "--previous: there is no snapshot before snapshot 1: leave the flag out" in capsys.readouterr().err
    copy = shutil.copytree(table, tmp_path / "table")
    publish_table(copy, fake_bundle(tmp_path / "bundle"), 14)
    assert main(["sql", str(copy), "--engine", "duckdb", "--previous"]) == 0
    with duckdb.connect(":memory:") as connection:
        connection.execute(capsys.readouterr().out)
        sql = "SELECT (SELECT count(*) FROM tracks), (SELECT count(*) FROM previous_tracks)"
        assert connection.sql(sql).fetchall() == [(14, 12)]
        answers = {one.number: connection.sql(one.sql).fetchall() for one in questions()}
    assert sum(row[2] for row in answers[6]) == 16
    assert {row[0] for row in answers[7]} == set(open_snapshot(str(copy)).scan("taxonomy")["tag"].to_pylist())


def test_bigquery_of_a_local_table_is_refused(table, capsys):
    assert main(["sql", table, "--engine", "bigquery"]) == 2
    assert "only from gs://" in capsys.readouterr().err


def test_an_unknown_engine_is_named(table, capsys):
    assert main(["sql", table, "--engine", "oracle"]) == 2
    assert "oracle" in capsys.readouterr().err
