"""A real Spark reads what the printed PySpark statements name: any folder, any type of a catalog's further columns."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pyarrow.parquet as pq
import pytest

from tests.support.arrow_types import COLUMNS, stored_rows, write_catalog
from tests.support.histories import Fact, publish_facts
from tests.support.neighbours import publish_table_neighbours
from tests.support.published import fake_bundle, publish_table
from transforms.discovery.search.engine import search_tracks
from transforms.discovery.search.request import SearchRequest
from transforms.formats.parquet import parquet_bytes
from transforms.table.duckdb_views import connect
from transforms.table.reader import open_snapshot
from transforms.table.sql import spark_statements
from transforms.tagging.assembly import PublishedRows

PACKAGES = Path(__file__).parents[2] / ".tools" / "spark"
START = """
import json
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
"""


def spark_answer(script: str, settings: Mapping[str, str] = MappingProxyType({})) -> object:
    """Runs a script in Spark; returns what its last line prints as JSON."""
    if not PACKAGES.is_dir() or shutil.which("java") is None:
        pytest.skip("no Spark: `make engine-spark` fetches it where Java is")
    start = START + "".join(f"builder = builder.config({name!r}, {value!r})\n" for name, value in settings.items())
    start += "spark = builder.getOrCreate()\n"
    command, env = [sys.executable, "-c", start + script], {"PYTHONPATH": str(PACKAGES), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_spark_reads_what_is_printed(tmp_path):
    table = tmp_path / "live {a,b} [2024]*?"
    publish_table(table, fake_bundle(tmp_path / "bundle"), 12)
    script = spark_statements(open_snapshot(str(table))) + (
        "names = ('tracks', 'embeddings', 'track_tags', 'ledger', 'taxonomy')\n"
        "counts = {name: len(spark.table(name).collect()) for name in names}\n"
        "print(json.dumps([counts, spark.table('tracks').columns]))\n"
    )
    counts, columns = spark_answer(script)
    assert counts == {"tracks": 12, "embeddings": 12, "track_tags": 12 * 33, "ledger": 14, "taxonomy": 33}
    assert "bucket" not in columns and "run" not in columns


def test_spark_reads_levels(tmp_path):
    root, model = str(tmp_path / "table"), {f"t{number}": Fact(artist=number % 2) for number in range(9)}
    for changes in ({}, {"t1": Fact(2)}, {"t2": None, "t9": Fact()}, {"t1": Fact(3)}):
        model = {track: fact for track, fact in (model | changes).items() if fact is not None}
        publish_facts(root, model)
    snapshot = open_snapshot(root)
    names = ("tracks", "embeddings", "track_tags", "ledger", "artist_tags")
    script = spark_statements(snapshot) + (
        f"rows = {{name: [row[0] for row in spark.table(name).collect()] for name in {names}}}\n"
        "print(json.dumps({name: sorted(keys) for name, keys in rows.items()}))\n"
    )
    found = spark_answer(script)
    assert found == {name: sorted(snapshot.scan(name).column(0).to_pylist()) for name in names}
    assert len(found["tracks"]) == 9 and any(file.dead for file in snapshot.live_files("tracks"))


@pytest.mark.long
@pytest.mark.parametrize("publication", [PublishedRows(), PublishedRows(top_k=2)])
def test_spark_answers_by_functions(tmp_path, publication):
    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 24, publication=publication)
    publish_table_neighbours(str(tmp_path / "table"))
    snapshot, weights = open_snapshot(str(tmp_path / "table")), {"mood/soft": 0.3, "genre/techno": -1.0}
    script = spark_statements(snapshot) + (
        f"found = [row.asDict() for row in weighted_search({weights}).collect()]\n"
        "tagged = [list(row) for row in has_tag('mood/soft').collect()]\n"
        "high = [list(row) for row in has_tag('mood/soft', 0.7).collect()]\n"
        "near = [row.track_id for row in similar_to('track-0001').collect()]\n"
        "told = []\n"
        "calls = [(has_tag, 'mood/none'), (weighted_search, {'mood/none': 1}), (similar_to, 'none')]\n"
        "for call, wrong in calls:\n"
        "    try:\n        call(wrong)\n    except ValueError as error:\n        told.append(str(error))\n"
        "print(json.dumps([found, tagged, high, near, told]))\n"
    )
    found, tagged, high, near, told = spark_answer(script)
    hits = search_tracks(snapshot, SearchRequest(weights=weights, limit=24)).hits
    assert [row["track_id"] for row in found] == [hit.track_id for hit in hits]
    assert [row["score"] for row in found] == pytest.approx([hit.score for hit in hits], abs=1e-12)
    with connect(snapshot, macros=True) as connection:
        for rows, call in ((tagged, "has_tag('mood/soft')"), (high, "has_tag('mood/soft', 0.7)")):
            assert rows == [[track, score] for track, score in connection.execute(f"FROM {call}").fetchall()]
        assert near == [row[1] for row in connection.execute("FROM similar_to('track-0001')").fetchall()]
    assert [text.split(";")[0] for text in told] == [
        *2 * ["no tag of this snapshot has the id mood/none"],
        "no track of this snapshot has the id none",
    ]


@pytest.mark.long
def test_spark_verifies_the_pages_that_it_reads(tmp_path):
    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 12)
    snapshot = open_snapshot(str(tmp_path / "table"))
    path = Path(snapshot.files("embeddings")[0])
    column = pq.read_metadata(path).row_group(0).column(2)
    data = bytearray(path.read_bytes())
    data[column.dictionary_page_offset + column.total_compressed_size - 5] ^= 1
    path.write_bytes(data)
    script = spark_statements(snapshot) + (
        "try:\n    spark.table('embeddings').collect()\n    print(json.dumps('not noticed'))\n"
        "except Exception as error:\n    cause = error.java_exception\n"
        "    while cause.getCause() is not None:\n        cause = cause.getCause()\n"
        "    print(json.dumps(cause.toString()))\n"
    )
    assert "CRC checksum verification failed" in spark_answer(script)


@pytest.mark.long
def test_spark_reads_every_further_column(tmp_path):
    stored = stored_rows(write_catalog(tmp_path))
    (tmp_path / "tracks.parquet").write_bytes(parquet_bytes(stored))
    script = (
        f"rows = spark.read.parquet({str(tmp_path / 'tracks.parquet')!r})\n"
        "print(json.dumps([row.asDict(recursive=True) for row in rows.collect()], default=str))\n"
    )
    first, _ = spark_answer(script)
    assert list(first) == stored.column_names and len(first) == len(COLUMNS)
    assert first["moment ns"] == "2026-01-31 06:30:15.250000" and first["u64"] == str(2**64 - 1)
