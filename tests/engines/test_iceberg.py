"""Real engines open a table as Apache Iceberg tables: Spark with Iceberg's runtime, and DuckDB with its extension."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.cli import main
from tests.engines.test_spark import PACKAGES, spark_answer
from tests.support.arrow_types import COLUMNS, stored_rows, write_catalog
from tests.support.histories import Fact, publish_facts
from tests.support.published import BUCKETS, fake_bundle, publish_table
from tests.support.rows import publish_rows
from transforms.schemas.tables import TABLES
from transforms.table.reader import open_history, open_snapshot

TOOLS = PACKAGES.parent
JARS = TOOLS / "iceberg"
DUCKDB = TOOLS / "duckdb"
TAXONOMY = [{"tag": f"mood/{name}", "category": "mood", "threshold": 0.5} for name in "ab"]
KEYS = ("track_id", "artist_id", "album_id", "category", "tag")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Two snapshots and a rollback to the first."""
    root = tmp_path_factory.mktemp("tables")
    bundle = fake_bundle(root / "bundle")
    publish_table(root / "table", bundle, 6)
    publish_table(root / "table", bundle, 12)
    assert main(["rollback", str(root / "table"), "1", "--quiet"]) == 0
    return root / "table"


@pytest.fixture(scope="module")
def levels(tmp_path_factory):
    """Nights with levels: changed, removed and added tracks, a rollback, and a night after it."""
    root = str(tmp_path_factory.mktemp("levels") / "table")
    model = {f"t{number}": Fact(artist=number % 2) for number in range(9)}
    nights = ({}, {"t1": Fact(2)}, {"t2": None, "t9": Fact()}, {"t1": Fact(3), "t4": Fact(title="b")})
    for changes in nights:
        model = {track: fact for track, fact in (model | changes).items() if fact is not None}
        publish_facts(root, model)
    assert main(["rollback", root, "3", "--quiet"]) == 0
    publish_facts(root, model | {"t5": Fact(2)})
    return root


def spark_catalog(table, script):
    """Runs a script in Spark whose catalog `music` is the folder of a table."""
    jars = list(JARS.glob("iceberg-spark-runtime-*.jar"))
    if not jars:
        pytest.skip("no Iceberg runtime: `make engine-iceberg` fetches it where Maven is")
    settings = {
        "spark.jars": str(jars[0]),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.music": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.music.type": "hadoop",
        "spark.sql.catalog.music.warehouse": str(table),
    }
    return spark_answer(script, settings)


def rounded(value):
    """A value as JSON, with float32 in the digits that all engines agree on."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list) else value


def own_rows(snapshot, name):
    return in_order([rounded(row) for row in snapshot.scan(name).to_pylist()])


def in_order(rows):
    return sorted(rows, key=lambda row: [row[key] for key in KEYS if key in row])


def read_by_spark(numbers):
    """A script that reads every table at every number."""
    return (
        f"answer = {{}}\nfor number in {numbers!r}:\n    for name in {tuple(TABLES)!r}:\n"
        "        found = spark.sql(f'SELECT * FROM music.iceberg.{name} VERSION AS OF {number}').collect()\n"
        "        answer[f'{name} {number}'] = [row.asDict(recursive=True) for row in found]\n"
    )


def assert_equal(root, rows):
    """What an engine read at every number are the live rows."""
    for snapshot in open_history(str(root)):
        for name in TABLES:
            found = [rounded(row) for row in rows[f"{name} {snapshot.manifest.number}"]]
            assert in_order(found) == own_rows(snapshot, name), (name, snapshot.manifest.number)


MORE = """
print(json.dumps({
    "rows": answer,
    "tagged": spark.sql("SELECT * FROM music.iceberg.tracks VERSION AS OF 'snapshot-2'").count(),
    "newest": spark.sql("SELECT count(*) AS n FROM music.iceberg.ledger").collect()[0]["n"],
    "by path": spark.read.format("iceberg").load(PATH + "/iceberg/track_tags").count(),
    "history": [row["snapshot_id"] for row in spark.sql("SELECT * FROM music.iceberg.tracks.history").collect()],
    "files": spark.sql("SELECT * FROM music.iceberg.tracks.files").count(),
    "comment": spark.sql("DESCRIBE music.iceberg.track_tags").collect()[0]["comment"],
}))
"""


def test_spark_reads_every_table_at_every_number(table):
    answer = spark_catalog(table, read_by_spark((1, 2, 3)) + f"PATH = {str(table)!r}\n" + MORE)
    assert_equal(table, answer["rows"])
    assert (answer["tagged"], answer["newest"], answer["by path"]) == (12, 8, 6 * 33)
    assert answer["history"] == [1, 2, 3] and answer["files"] == BUCKETS
    assert answer["comment"] == "Catalog key."


def test_spark_reads_levels_and_cannot_remove_files(levels):
    script = read_by_spark((1, 2, 3, 4, 5, 6)) + (
        "deletes = spark.sql('SELECT content FROM music.iceberg.tracks.all_delete_files').count()\n"
        "counted = spark.sql('SELECT count(*) AS n FROM music.iceberg.tracks').collect()[0]['n']\n"
        "try:\n    spark.sql(\"CALL music.system.expire_snapshots(table => 'iceberg.tracks')\").collect()\n"
        "    refused = ''\n"
        "except Exception as error:\n    refused = str(error)\n"
        "print(json.dumps([answer, deletes, counted, refused]))\n"
    )
    rows, deletes, counted, refused = spark_catalog(levels, script)
    assert_equal(levels, rows)
    assert deletes > 0 and counted == open_snapshot(levels).manifest.rows("tracks")
    assert "GC is disabled" in refused


def test_spark_reads_every_further_column_by_its_name(tmp_path):
    """Columns of a catalog with every type: the values that the files have, at both numbers."""
    stored = stored_rows(write_catalog(tmp_path))
    names = [
        name
        for name, (kind, _, _) in zip(stored.column_names, COLUMNS.values(), strict=True)
        if not pa.types.is_null(kind)
    ]
    first = {"track_id": "a", **stored.select(names[:20]).to_pylist()[0]}
    second = {"track_id": "a", **stored.select(names[10:]).to_pylist()[0]}
    for row in (first, second):
        publish_rows(tmp_path / "table", TAXONOMY, [row], [], fields=[f for f in stored.schema if f.name in row])
    script = (
        "sql = 'SELECT * FROM music.iceberg.tracks VERSION AS OF '\n"
        "found = [spark.sql(sql + n).collect()[0].asDict(recursive=True) for n in '12']\n"
        "print(json.dumps([{name: str(value) for name, value in row.items()} for row in found]))\n"
    )
    found = spark_catalog(tmp_path / "table", script)
    for number, (row, wanted) in enumerate(zip(found, (first, second), strict=True), 1):
        assert list(row) == open_snapshot(str(tmp_path / "table"), number).schema("tracks").names
        for name in ("flag", "i8", "i64", "money", "text", "day", "moment us", "list", "u64", "coded"):
            if name in wanted:
                assert row[name] == str(wanted[name]) or name == "moment us", name


def duckdb_answer(script):
    """Runs a script in DuckDB with its extension for Iceberg; returns what its last line prints as JSON."""
    found = {name: list(DUCKDB.rglob(f"{name}.duckdb_extension")) for name in ("avro", "iceberg")}
    if not all(found.values()):
        pytest.skip("no DuckDB with the extension iceberg: `make engine-iceberg` fetches it")
    start = f"import sys, json\nsys.path.insert(0, {str(DUCKDB)!r})\nimport duckdb\nconnection = duckdb.connect()\n"
    start += "".join(f"connection.execute({f'LOAD {chr(39)}{paths[0]}{chr(39)}'!r})\n" for paths in found.values())
    done = subprocess.run([sys.executable, "-I", "-c", start + script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def read_by_duckdb(root, numbers):
    script = f"""
rows = {{}}
for number in {numbers!r}:
    for name in {tuple(TABLES)!r}:
        scan = f"SELECT * FROM iceberg_scan('{root}/iceberg/{{name}}', snapshot_from_id={{number}}::UBIGINT)"
        found = connection.sql(scan)
        rows[f"{{name}} {{number}}"] = [dict(zip(found.columns, row)) for row in found.fetchall()]
print(json.dumps(rows))
"""
    return duckdb_answer(script)


def test_duckdb_reads_every_table_at_every_number(table):
    assert_equal(table, read_by_duckdb(table, (1, 2, 3)))


def test_duckdb_reads_levels(levels):
    assert_equal(levels, read_by_duckdb(levels, (1, 2, 3, 4, 5, 6)))


def test_duckdb_opens_a_moved_table_after_the_command(table, tmp_path):
    moved = shutil.copytree(table, tmp_path / "moved")
    assert main(["iceberg", str(moved), "--quiet"]) == 0
    shutil.rmtree(moved / "data", ignore_errors=False)
    script = (
        f"try:\n    connection.sql(\"SELECT * FROM iceberg_scan('{moved}/iceberg/tracks')\").fetchall()\n"
        "    print(json.dumps(''))\nexcept Exception as error:\n    print(json.dumps(str(error)))\n"
    )
    assert f"{Path(moved)}/data/" in duckdb_answer(script)
