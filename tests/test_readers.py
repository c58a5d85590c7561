"""The tables as other programs read them, and the files as the format's own metadata describe them."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.support.published import fake_bundle, publish_table
from transforms.formats.parquet import SORTED_BY
from transforms.schemas.tables import TABLES
from transforms.table.reader import open_snapshot

ROWS = {"tracks": 24, "track_tags": 24 * 33, "embeddings": 24, "ledger": 26, "taxonomy": 33}
ROWS |= {"artist_tags": 8 * 33, "album_tags": 16 * 33}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    root = tmp_path_factory.mktemp("tables")
    publish_table(root / "table", fake_bundle(root / "bundle"), 24, parameters=True)
    return str(root / "table")


@pytest.fixture(scope="module")
def files(table):
    return {name: open_snapshot(table, 1).files(name) for name in ROWS}


@pytest.fixture(scope="module")
def oracle(files):
    """Each table by DuckDB, as sorted Python rows."""
    with duckdb.connect(":memory:") as connection:
        return {
            name: _rows(connection.read_parquet(paths, hive_partitioning=False).to_arrow_table())
            for name, paths in files.items()
        }


def _rows(table):
    return sorted(table.to_pylist(), key=lambda row: (row.get("track_id", ""), row.get("tag", "")))


def names(table):
    """The columns of a table whose taxonomy has no rules."""
    return [name for name in TABLES[table].names if (table, name) != ("taxonomy", "rule")]


@pytest.mark.parametrize("name", ROWS)
def test_pyarrow_reads_the_file_list(files, oracle, name):
    found = ds.dataset(files[name], format="parquet").to_table()
    assert _rows(found) == oracle[name] and len(oracle[name]) == ROWS[name]


@pytest.mark.parametrize("name", ROWS)
def test_polars_reads_the_file_list(files, oracle, name):
    found = pl.read_parquet(files[name], hive_partitioning=False)
    assert sorted(found.columns) == sorted(oracle[name][0])
    assert _rows(pa.Table.from_pylist(found.to_dicts())) == oracle[name]


@pytest.mark.parametrize("name", ROWS)
def test_pandas_reads_each_file(files, name):
    frames = [pd.read_parquet(path, partitioning=None) for path in files[name]]
    found = pd.concat(frames)
    assert len(found) == ROWS[name] and list(found.columns)[: len(names(name))] == names(name)


def test_pandas_gets_scores_and_embeddings_as_numbers(files):
    assert pd.read_parquet(files["track_tags"][0], partitioning=None)["score"].dtype == np.float32
    assert pd.read_parquet(files["embeddings"][0], partitioning=None)["embedding"].iloc[0].dtype == np.float32


def metadata(files, name):
    return [pq.read_metadata(path) for path in files[name]]


def column_chunks(file):
    return [file.row_group(g).column(c) for g in range(file.num_row_groups) for c in range(file.num_columns)]


@pytest.mark.parametrize("name", ROWS)
def test_zstd_and_page_index_in_every_column(files, name):
    for file in metadata(files, name):
        assert {chunk.compression for chunk in column_chunks(file)} == {"ZSTD"}
        assert all(chunk.has_offset_index and chunk.has_column_index for chunk in column_chunks(file))


@pytest.mark.parametrize("name", ROWS)
def test_the_sort_order_is_declared_and_true(files, name):
    for path in files[name]:
        file = pq.ParquetFile(path)
        declared = [
            (file.schema_arrow.names[column.column_index], "descending" if column.descending else "ascending")
            for column in file.metadata.row_group(0).sorting_columns
        ]
        assert declared == SORTED_BY[name]
        rows = file.read()
        assert rows.select([key for key, _ in declared]) == rows.sort_by(declared).select([key for key, _ in declared])


def test_the_bloom_filter_is_on_track_id_of_track_tags_alone(files):
    for name in ROWS:
        filtered = {c.path_in_schema for f in metadata(files, name) for c in column_chunks(f) if c.bloom_filter_offset}
        assert filtered == ({"track_id"} if name == "track_tags" else set())


def test_nested_types_have_the_names_that_engines_expect(files):
    paths = {c.path_in_schema for name in ROWS for f in metadata(files, name) for c in column_chunks(f)}
    nested = {path for path in paths if "." in path}
    assert nested == {
        "top_tags.list.element.tag",
        "top_tags.list.element.score",
        "embedding.list.element",
        "parents.list.element",
        "other_ids.list.element",
    }


def test_embeddings_have_an_encoding_that_every_reader_knows(files):
    chunks = [
        c for f in metadata(files, "embeddings") for c in column_chunks(f) if c.path_in_schema.startswith("embedding.")
    ]
    assert chunks and all({"PLAIN", "RLE", "RLE_DICTIONARY"} >= set(chunk.encodings) for chunk in chunks)


@pytest.mark.parametrize("name", ROWS)
def test_ids_and_schema_version_are_in_the_metadata(table, files, name):
    ids = open_snapshot(table, 1).manifest.run.ids
    for file in metadata(files, name):
        stored = {key.decode(): value.decode() for key, value in file.metadata.items()}
        assert stored["schema_version"] == "1"
        assert {key: stored[key] for key in vars(ids)} == vars(ids)


def test_pages_carry_checksums(files, tmp_path):
    path = files["embeddings"][0]
    chunk = pq.read_metadata(path).row_group(0).column(2)
    data = bytearray(Path(path).read_bytes())
    data[chunk.dictionary_page_offset + chunk.total_compressed_size - 5] ^= 1
    (tmp_path / "damaged.parquet").write_bytes(data)
    with pytest.raises(OSError, match="CRC checksum"):
        pq.ParquetFile(tmp_path / "damaged.parquet", page_checksum_verification=True).read()


@pytest.mark.parametrize("name", ROWS)
def test_columns_are_as_declared(files, name):
    for path in files[name]:
        schema = pq.read_schema(path)
        for field in map(TABLES[name].field, names(name)):
            assert schema.field(field.name).type == field.type, field.name
            assert schema.field(field.name).nullable == field.nullable, field.name
            assert schema.field(field.name).metadata[b"description"], field.name
