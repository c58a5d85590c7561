"""Further columns are stored under names and types that DuckDB, polars, pandas and BigQuery accept; Spark: engines."""

import json

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.arrow_types import COLUMNS, stored_rows, write_catalog
from transforms.catalog.columns import further_columns
from transforms.catalog.reader import list_shards, read_shard
from transforms.catalog.stored_types import stored_name
from transforms.formats.parquet import parquet_bytes

BIGQUERY = {
    ("BOOLEAN", "None"),
    ("INT32", "None"),
    ("INT32", "Int"),
    ("INT32", "Date"),
    ("INT32", "Decimal"),
    ("INT64", "None"),
    ("INT64", "Timestamp"),
    ("INT64", "Decimal"),
    ("FLOAT", "None"),
    ("DOUBLE", "None"),
    ("BYTE_ARRAY", "None"),
    ("BYTE_ARRAY", "String"),
    ("FIXED_LEN_BYTE_ARRAY", "Decimal"),
}
"""Physical and logical Parquet types that BigQuery loads, from its table of type conversions."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return stored_rows(write_catalog(tmp_path_factory.mktemp("types")))


@pytest.fixture(scope="module")
def parquet(stored, tmp_path_factory):
    path = tmp_path_factory.mktemp("tracks") / "tracks.parquet"
    path.write_bytes(parquet_bytes(stored, name=""))
    return path


@pytest.mark.parametrize("name", COLUMNS)
def test_every_type_keeps_its_value(stored, name):
    assert stored[stored_name(name)][0].as_py() == COLUMNS[name][2]
    assert name == "fixed list" or stored[stored_name(name)][1].as_py() is None


def test_duckdb_polars_and_pandas_read_every_column(stored, parquet):
    assert [row[0] for row in duckdb.sql(f"DESCRIBE FROM '{parquet}'").fetchall()] == stored.column_names
    assert len(duckdb.sql(f"FROM '{parquet}'").fetchall()) == 2
    assert polars.read_parquet(parquet).shape == (2, len(COLUMNS))
    frame = pandas.read_parquet(parquet)
    assert frame["moment ns"][0] == pandas.Timestamp("2026-01-31 06:30:15.250")
    assert frame["u8"][0] == 255


def test_every_leaf_has_a_type_that_bigquery_loads(parquet):
    file = pq.ParquetFile(parquet)
    for place in range(len(file.schema.names)):
        leaf = file.schema.column(place)
        logical = json.loads(leaf.logical_type.to_json())
        assert (leaf.physical_type, logical["Type"]) in BIGQUERY, leaf.path
        assert logical.get("timeUnit") != "nanoseconds"
        if logical["Type"] == "Decimal":
            assert logical["scale"] <= 9 and logical["precision"] - logical["scale"] <= 29


def test_names_are_distinct_and_keep_the_first_one(stored):
    lower = [name.lower() for name in stored.column_names]
    assert len(set(lower)) == len(lower) == len(COLUMNS)
    assert {field.metadata[b"catalog_column"].decode() for field in stored.schema} == set(COLUMNS)
    assert all(len(name) <= 300 for name in lower)


@pytest.mark.parametrize("names", [["a(b", "a)b"], ["a.b", "A_b"], ["x" * 300, "x" * 301]])
def test_columns_that_would_get_one_name_get_two(tmp_path, names):
    table = pa.table({"track_id": ["a"], "uri": ["a"], names[0]: [1], names[1]: [2]})
    pq.write_table(table, tmp_path / "c.parquet")
    found = further_columns(list_shards(str(tmp_path))[0].schema)
    assert sorted(found.values()) == sorted(names) and len({name.lower() for name in found}) == 2


def _dates(tmp_path, kind, counts, **options):
    width = pa.int32() if kind == pa.date32() else pa.int64()
    values = pa.array(counts, width).view(kind)
    ids = [str(i) for i in range(len(counts))]
    path = tmp_path / "dates.parquet"
    pq.write_table(pa.table({"track_id": ids, "uri": ids, "when": values}), path, **options)
    (shard,) = list_shards(str(path))
    return next(iter(read_shard(shard)))


def test_dates_outside_of_the_calendar_make_their_column_text(tmp_path):
    batch, problems = _dates(tmp_path, pa.date32(), [-730_000, 0, None, 10_000_000])
    assert problems == []
    assert batch["when"].to_pylist() == ["0030-05-01 (BC)", "1970-01-01", None, "29349-01-26"]


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_moments_outside_of_the_calendar_make_their_column_text(tmp_path, unit):
    per_second = {"s": 1, "ms": 10**3, "us": 10**6}[unit]
    batch, problems = _dates(tmp_path, pa.timestamp(unit), [-(10**11) * per_second, 0])
    assert problems == []
    assert batch["when"].to_pylist() == ["1200-02-15T14:13:20 (BC)", "1970-01-01T00:00:00"]


def test_without_statistics_such_a_date_is_a_problem_of_its_row(tmp_path):
    batch, (problem,) = _dates(tmp_path, pa.date32(), [0, 10_000_000], write_statistics=False)
    assert batch["track_id"].to_pylist() == ["0"]
    assert problem.row == 2 and "write the column as text" in str(problem)
