import dataclasses
import re
import shlex
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.support.published import fake_bundle, publish_table
from transforms.schemas.tables import TABLES
from transforms.table.reader import open_snapshot
from transforms.table.sql import (
    bigquery_statements,
    current_statements,
    duckdb_statements,
    duckdb_type,
    duckdb_view,
    quoted,
    spark_statements,
)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables") / "o'neill [2024]*? {a}"
    publish_table(root / "table", fake_bundle(root / "bundle"), 12)
    return str(root / "table")


@pytest.fixture(scope="module")
def snapshot(table):
    return open_snapshot(table, 1)


def on_gs(snapshot, **changes):
    """The snapshot as if its table were on Google's storage."""
    return dataclasses.replace(snapshot, root="gs://bucket/table", **changes)


def test_duckdb_runs_its_statements(table, snapshot):
    with duckdb.connect(":memory:") as connection:
        connection.execute(duckdb_statements(snapshot))
        assert connection.sql("SELECT count(*) FROM tracks").fetchall() == [(12,)]
        columns = [row[0] for row in connection.sql("DESCRIBE track_tags").fetchall()]
        assert columns == TABLES["track_tags"].names


@pytest.fixture
def moved(table, tmp_path):
    """The table in another folder."""
    return shutil.copytree(table, tmp_path / "else where [1]*")


def test_current_sql_has_no_path_of_its_publisher(table, snapshot):
    text = Path(table, "current.sql").read_text()
    assert text == current_statements(snapshot) and snapshot.root not in text and "'/" not in text.replace("|| '/'", "")


def test_current_sql_opens_a_moved_table_in_its_folder(moved, monkeypatch):
    monkeypatch.chdir(moved)
    assert counted(Path("current.sql").read_text()) == [12, 12 * 33, 12, 14, 33]


def test_current_sql_opens_a_table_that_a_variable_names(moved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = f"SET VARIABLE table_root = {quoted(str(moved))};" + Path(moved, "current.sql").read_text()
    assert counted(text) == [12, 12 * 33, 12, 14, 33]


def counted(statements: str) -> list[int]:
    with duckdb.connect(":memory:") as connection:
        connection.execute(statements)
        names = ("tracks", "track_tags", "embeddings", "ledger", "taxonomy")
        return [connection.sql(f"SELECT count(*) FROM {name}").fetchall()[0][0] for name in names]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_without_files_is_an_empty_view_of_the_same_columns(name):
    with duckdb.connect(":memory:") as connection:
        connection.execute(duckdb_view(name, None, str))
        described = connection.sql(f"DESCRIBE {name}").fetchall()
        assert [row[:2] for row in described] == [(f.name, duckdb_type(f.type)) for f in TABLES[name]]
        assert connection.sql(f"FROM {name}").fetchall() == []


def test_engines_that_verify_nothing_are_told_how_to_check(snapshot):
    check = f"catalog-tagger verify {shlex.quote(snapshot.root)} --snapshot 1"
    assert check in duckdb_statements(snapshot)
    assert "catalog-tagger verify gs://bucket/table --snapshot 1" in bigquery_statements(on_gs(snapshot))


def test_bigquery_reads_the_manifests(snapshot):
    text = bigquery_statements(on_gs(snapshot))
    assert text.count("CREATE OR REPLACE EXTERNAL TABLE") == len(TABLES) - 1  # `neighbours` has no files
    assert "uris = ['gs://bucket/table/manifests/0000000001/track_tags.txt']" in text
    assert text.count("file_set_spec_type = 'NEW_LINE_DELIMITED_MANIFEST'") == len(TABLES) - 1


def test_bigquery_needs_gs(snapshot):
    with pytest.raises(ValueError, match="only from gs://"):
        bigquery_statements(snapshot)


def test_bigquery_skips_a_table_without_files(snapshot):
    run = snapshot.manifest.run
    run = dataclasses.replace(run, files=tuple(f for f in run.files if f.table != "tracks"))
    text = bigquery_statements(on_gs(snapshot, manifest=dataclasses.replace(snapshot.manifest, run=run)))
    assert "-- tracks has no files in this snapshot" in text


def test_spark_statements_are_python_that_names_every_file(snapshot):
    calls: dict[str, tuple[str, ...]] = {}
    options: dict[str, str] = {}

    class Spark:
        read = property(lambda self: self)

        def option(self, name, value):
            options[name] = value
            return self

        def parquet(self, *files):
            self.files = files
            return self

        def createOrReplaceTempView(self, name):
            calls[name] = self.files

    exec(spark_statements(snapshot), {"spark": Spark()})
    assert options == {"datetimeRebaseMode": "CORRECTED", "parquet.page.verify-checksum.enabled": "true"}
    literal = {name: tuple(re.sub(r"\\(.)", r"\1", file) for file in files) for name, files in calls.items()}
    assert literal == {name: tuple(files) for name in TABLES if (files := snapshot.files(name))}


def test_gs_tables_say_how_duckdb_gets_in(snapshot):
    text = duckdb_statements(on_gs(snapshot))
    assert "CREATE SECRET (TYPE gcs" in text and "'gs://bucket/table/data/run=" in text


def test_quotes_are_doubled():
    assert quoted("o'neill") == "'o''neill'"
