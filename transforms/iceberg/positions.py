"""Position deletes: Parquet files that name rows of a data file which do not count, for Iceberg's readers."""

import io
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.formats.parquet import CheckedFile

_ID = b"PARQUET:field_id"

POSITIONS = pa.schema(
    [
        pa.field("file_path", pa.string(), nullable=False, metadata={_ID: b"2147483546"}),
        pa.field("pos", pa.int64(), nullable=False, metadata={_ID: b"2147483545"}),
    ]
)
"""Columns of a file of position deletes, with the field ids that Iceberg's specification reserves for them."""


def positions(file: CheckedFile, url: str, column: str, deleted: Collection[str]) -> pa.Table:
    """Positions of the rows of a data file that do not count, counted from 0, ascending.

    Memory is bounded: one batch of one column is read at a time.

    Args:
      file: the data file.
      url: its absolute name, exactly as the manifest has it.
      column: the column that decides, such as `track_id`.
      deleted: its values in rows that do not count.

    Returns:
      A table with the schema `POSITIONS`.
    """
    wanted, found, begin = pa.array(sorted(deleted), pa.string()), [pa.array([], pa.int64())], 0
    for batch in file.iter_batches(65_536, columns=[column], use_threads=False):
        matching = pc.indices_nonzero(pc.is_in(batch.column(0), value_set=wanted))
        found.append(pc.add(matching.cast(pa.int64()), begin))
        begin += batch.num_rows
    rows = pa.concat_arrays(found)
    return pa.table([pa.repeat(pa.scalar(url), len(rows)), rows], schema=POSITIONS)


def position_delete_bytes(rows: pa.Table) -> bytes:
    """The rows of `positions` of one or more data files as one Parquet file, sorted by file and position."""
    rows = rows.sort_by([("file_path", "ascending"), ("pos", "ascending")])
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()
