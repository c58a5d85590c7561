"""Parquet files as tables are written: encodings that depend on the column, not on a catalog's choice of names."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.formats.parquet import parquet_bytes
from transforms.schemas.tables import EMBEDDINGS


def _read(data: bytes) -> pq.ParquetFile:
    return pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True)


def test_embeddings_are_byte_stream_split() -> None:
    rows = [{"track_id": "a", "embedding_id": "em", "embedding": [0.5, 1.0]}]
    file = _read(parquet_bytes(pa.Table.from_pylist(rows, schema=EMBEDDINGS), name="embeddings"))
    column = file.metadata.row_group(0).column(2)
    assert column.path_in_schema == "embedding.list.element" and "BYTE_STREAM_SPLIT" in column.encodings
    assert file.read()["embedding"].to_pylist() == [[0.5, 1.0]]


@pytest.mark.parametrize("values", [[["a"], None], [[True], []], ["a", "b"], [{"x": 1}, None]], ids=str)
def test_a_catalog_may_have_a_column_called_embedding(values: list) -> None:
    table = pa.table({"track_id": ["a", "b"], "embedding": pa.array(values)})
    assert _read(parquet_bytes(table, name="tracks")).read()["embedding"].to_pylist() == values
