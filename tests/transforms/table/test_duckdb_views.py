from pathlib import Path

import duckdb
import pytest

from tests.support.published import fake_bundle, publish_table
from transforms import storage
from transforms.schemas.tables import TABLES
from transforms.table.duckdb_views import NotReadOnly, check_question, connect
from transforms.table.reader import open_snapshot


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    # A folder whose name is a glob pattern and holds a quote: names are taken literally.
    root = tmp_path_factory.mktemp("tables") / "it's [l*ve]"
    bundle = fake_bundle(root / "bundle")
    publish_table(root / "table", bundle, 18)
    publish_table(root / "table", bundle, 24, carried={"track-0001"})
    return str(root / "table")


@pytest.fixture
def connection(table):
    with connect(open_snapshot(table, 2), previous=True) as connection:
        yield connection


@pytest.mark.parametrize("name, rows", [("tracks", 24), ("track_tags", 24 * 33), ("ledger", 26), ("taxonomy", 33)])
def test_views_hold_the_snapshot(connection, name, rows):
    assert connection.sql(f"SELECT count(*) FROM {name}").fetchall() == [(rows,)]


def test_previous_views_hold_the_parent(connection):
    assert connection.sql("SELECT count(*) FROM previous_tracks").fetchall() == [(18,)]


def test_the_first_snapshot_has_empty_previous_views(table):
    with connect(open_snapshot(table, 1), previous=True) as connection:
        assert connection.sql("SELECT count(*) FROM previous_track_tags").fetchall() == [(0,)]
        previous, own = (
            {row[0]: row[1] for row in connection.sql(f"DESCRIBE {name}").fetchall()}
            for name in ("previous_tracks", "tracks")
        )
        declared = set(TABLES["tracks"].names)
        assert set(previous) == declared and set(own) - declared == {"bpm"}
        assert all(previous[name] == own[name] for name in declared & set(own))


def test_folders_do_not_become_columns(connection):
    assert "bucket" not in [row[0] for row in connection.sql("DESCRIBE tracks").fetchall()]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd.csv'",
        "SELECT * FROM read_parquet('snapshot://2/elsewhere.parquet')",
        "SELECT * FROM glob('/*')",
        "COPY tracks TO 'stolen.csv'",
        "ATTACH 'other.db'",
        "INSTALL httpfs",
        "FROM sqlite_scan('other.db', 'table')",
        "FROM query('COPY (SELECT 1) TO ''stolen.csv''')",
        "FROM json_execute_serialized_sql(json_serialize_sql('FROM read_csv(''/etc/passwd'')'))",
        "FROM enable_logging(storage = 'file', storage_path = 'log')",
        "FROM enable_profiling(save_location = 'profile')",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/etc/passwd']",
        "SET temp_directory = '/etc'",
        "SET memory_limit = '1TB'",
        "PRAGMA temp_directory = '/etc'",
    ],
)
def test_nothing_else_can_be_opened(connection, sql):
    with pytest.raises(duckdb.Error):
        connection.sql(sql).fetchall()


def test_only_a_new_folder_takes_what_is_spilled(table, tmp_path, monkeypatch):
    (tmp_path / ".tmp").mkdir()
    (tmp_path / ".tmp" / "secret.txt").write_text("secret")
    monkeypatch.chdir(tmp_path)
    with connect(open_snapshot(table, 2), memory_bytes=100_000_000) as connection:
        with pytest.raises(duckdb.PermissionException):  # DuckDB may read its temporary folder, by default `.tmp`
            connection.sql("SELECT * FROM read_text('.tmp/secret.txt')").fetchall()
        ((folder, limit),) = connection.sql(
            "SELECT current_setting('temp_directory'), current_setting('memory_limit')"
        ).fetchall()
        assert list(Path(folder).iterdir()) == [] and limit == "95.3 MiB"
        many = "SELECT count(*) FROM (SELECT hash(i) AS h, count(*) FROM range(4000000) t(i) GROUP BY h)"
        assert connection.sql(many).fetchall() == [(4_000_000,)]
    assert not Path(folder).exists()


@pytest.mark.parametrize("statement", ["{}", "WITH written AS ({}) SELECT * FROM written"])
def test_a_published_file_cannot_be_written(table, connection, statement):
    file = open_snapshot(table, 2).manifest.files("tracks")[0]
    before = storage.read_bytes(storage.join(table, file.path))
    copy = f"COPY (SELECT 1) TO 'snapshot://2/{file.path}' (FORMAT parquet, USE_TMP_FILE false)"
    with pytest.raises(duckdb.Error):
        connection.execute(statement.format(copy)).fetchall()
    assert storage.read_bytes(storage.join(table, file.path)) == before


def test_python_variables_are_not_tables(connection):
    secret = [1, 2, 3]  # noqa: F841
    with pytest.raises(duckdb.CatalogException):
        connection.sql("SELECT * FROM secret")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "FROM tracks",
        "WITH a AS (SELECT 1) FROM a",
        "DESCRIBE tracks",
        "SHOW TABLES",
        "SUMMARIZE tracks",
        "VALUES (1)",
    ],
)
def test_questions_are_allowed(connection, sql):
    check_question(connection, sql)


@pytest.mark.parametrize(
    "sql, words",
    [
        ("COPY tracks TO 'x'", "COPY statement"),
        ("CREATE TABLE x (a INT)", "CREATE statement"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("-- nothing", "0 statements"),
        ("PIVOT track_tags ON tag USING max(score)", "PIVOT without a list"),
        ("EXPLAIN ANALYZE COPY tracks TO 'x'", "COPY statement"),
        ("EXPLAIN (FORMAT json) DROP VIEW tracks", "DROP statement"),
        ("/* a */ -- b\n explain\nanalyze CREATE TABLE x (a INT)", "CREATE statement"),
    ],
)
def test_what_is_no_question_is_refused(connection, sql, words):
    with pytest.raises(NotReadOnly, match=words):
        check_question(connection, sql)


def test_a_missing_file_is_an_error(table, tmp_path):
    import shutil

    copy = shutil.copytree(table, tmp_path / "table")
    snapshot = open_snapshot(str(copy), 2)
    Path(snapshot.files("tracks")[0]).unlink()
    with pytest.raises(duckdb.Error), connect(snapshot):
        pass
