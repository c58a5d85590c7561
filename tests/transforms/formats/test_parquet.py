"""Parquet files as tables are written: encodings that depend on the column, not on a catalog's choice of names."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.formats.parquet import parquet_bytes
from transforms.schemas.tables import EMBEDDINGS


def _read(data: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True)


@pytest.mark.parametrize(("name", "encoding"), [("embeddings", "RLE_DICTIONARY"), ("", "BYTE_STREAM_SPLIT")])
def test_embeddings_of_tables_are_in_a_dictionary_and_those_of_parts_are_split(name: str, encoding: str) -> None:
    rows = [{"track_id": "a", "embedding_id": "em", "embedding": [0.5, 1.0]}]
    file = _read(parquet_bytes(pa.Table.from_pylist(rows, schema=EMBEDDINGS), name=name))
    column = file.metadata.row_group(0).column(2)
    assert column.path_in_schema == "embedding.list.element" and encoding in column.encodings
    assert file.read()["embedding"].to_pylist() == [[0.5, 1.0]]


def test_the_dictionary_of_a_table_has_room_for_all_values_of_float16() -> None:
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    values = np.tile(values[np.isfinite(values)], 3).reshape(-1, 64)
    rows = {"track_id": [str(i) for i in range(len(values))], "embedding_id": ["em"] * len(values)}
    table = pa.table({**rows, "embedding": list(values)}).cast(EMBEDDINGS)
    column = _read(parquet_bytes(table, name="embeddings")).metadata.row_group(0).column(2)
    assert column.total_uncompressed_size < 2.1 * values.size + 4 * 65_536, "16 bits a value, and the dictionary"


@pytest.mark.parametrize("values", [[["a"], None], [[True], []], ["a", "b"], [{"x": 1}, None]], ids=str)
def test_a_catalog_may_have_a_column_called_embedding(values: list) -> None:
    table = pa.table({"track_id": ["a", "b"], "embedding": pa.array(values)})
    assert _read(parquet_bytes(table, name="tracks")).read()["embedding"].to_pylist() == values
