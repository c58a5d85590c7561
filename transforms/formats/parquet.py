"""Reads and writes all Parquet files: zstd, page checksums, page index, compliant nested types."""

import bisect
import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from transforms import storage
from transforms.schemas.tables import EMBEDDINGS, SCHEMA_VERSION

ROW_GROUP_ROWS = 262_144
SORTED_BY: dict[str, list[tuple[str, str]]] = {
    "track_tags": [("category", "ascending"), ("tag", "ascending"), ("score", "descending")],
    "tracks": [("track_id", "ascending")],
    "embeddings": [("track_id", "ascending")],
    "ledger": [("track_id", "ascending")],
    "taxonomy": [("tag", "ascending")],
}
"""Sort order within each file of a table."""


def parquet_bytes(table: pa.Table, *, name: str = "", ids: dict[str, str] | None = None) -> bytes:
    """The table as one Parquet file.

    Args:
      name: the name of the table. The file declares the sort order of a table of `SORTED_BY`; `track_tags` gets a
        bloom filter on `track_id`.
      ids: stored in the key-value metadata, together with the schema version.
    """
    metadata = {**(table.schema.metadata or {}), "schema_version": str(SCHEMA_VERSION), **(ids or {})}
    table = table.replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    options = _encodings(table.schema) | _bloom(table, name)
    sorting = [pq.SortingColumn.from_ordering(table.schema, SORTED_BY[name])] if name in SORTED_BY else None
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=3,
        write_page_checksum=True,
        write_page_index=True,
        use_compliant_nested_type=True,
        sorting_columns=sorting[0] if sorting else None,
        **options,
    ) as writer:
        writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
    return bytes(sink.getvalue())


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    """Byte-stream split for embeddings (their low mantissa bytes are zero), dictionaries for all other columns."""
    # A column of the catalog may have this name, too.
    if "embedding" not in schema.names or schema.field("embedding").type != EMBEDDINGS.field("embedding").type:
        return {}
    leaf = "embedding.list.element"
    flat = [name for name in schema.names if not pa.types.is_nested(schema.field(name).type)]
    return {"use_dictionary": flat, "column_encoding": {leaf: "BYTE_STREAM_SPLIT"}}


def _bloom(table: pa.Table, name: str) -> dict[str, Any]:
    if name != "track_tags" or table.num_rows == 0:
        return {}
    tracks = len(table.column("track_id").slice(0, ROW_GROUP_ROWS).unique())
    return {"bloom_filter_options": {"track_id": {"ndv": tracks, "fpp": 0.01}}}


def read_parquet(url: str, columns: Sequence[str] | None = None) -> pa.Table:
    """One file of this project, its page checksums verified.

    Raises:
      storage.StorageError: the file is missing, unreadable or damaged.
    """
    with open_parquet(url) as file:
        return file.read(columns=list(columns) if columns is not None else None, use_threads=False)


@contextlib.contextmanager
def open_parquet(url: str) -> Iterator[pq.ParquetFile]:
    """One file of this project, open for reading, its page checksums verified.

    Raises:
      storage.StorageError: the file is missing, unreadable or damaged, which may show only while it is read.
    """
    try:
        with storage.open_input(url) as source:
            yield pq.ParquetFile(source, page_checksum_verification=True, pre_buffer=True)
    except storage.StorageError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise storage.StorageError(f"{url}: {' '.join(str(error).split())}") from error


def row_groups_with(parquet: pq.ParquetFile, column: str, values: Sequence[str]) -> list[int]:
    """Row groups that may contain one of the sorted `values`, according to their minimum and maximum."""
    place = parquet.schema.names.index(column)
    found = []
    for group in range(parquet.num_row_groups):
        stated = parquet.metadata.row_group(group).column(place).statistics
        known = stated is not None and stated.has_min_max
        if not known or bisect.bisect_left(values, stated.min) < bisect.bisect_right(values, stated.max):
            found.append(group)
    return found
