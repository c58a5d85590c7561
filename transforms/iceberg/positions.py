"""Position deletes: Parquet files that name rows of data files which do not count, for Iceberg's readers.

A file is sorted by the absolute name of the data file and by position. A row group has the positions of whole data
files, as far as they fit, so readers that look for one data file skip the others by their statistics.
"""

import bisect
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms import storage
from transforms.formats.parquet import CheckedFile

POSITIONS_PER_GROUP = 131_072
_ID = b"PARQUET:field_id"

POSITIONS = pa.schema(
    [
        pa.field("file_path", pa.string(), nullable=False, metadata={_ID: b"2147483546"}),
        pa.field("pos", pa.int64(), nullable=False, metadata={_ID: b"2147483545"}),
    ]
)
"""Columns of a file of position deletes, with the field ids that Iceberg's specification reserves for them."""


def positions(file: CheckedFile, column: str, deleted: pa.Array) -> pa.Array:
    """Positions of the rows of a data file that do not count: int64, counted from 0, ascending.

    Memory is bounded: one batch of one column is read at a time.

    Args:
      file: the data file.
      column: the column that decides, such as `track_id`; it may be read as a dictionary.
      deleted: its values in rows that do not count.
    """
    found, begin = [pa.array([], pa.int64())], 0
    for batch in file.iter_batches(65_536, columns=[column], use_threads=False):
        matching = pc.indices_nonzero(_is_in(batch.column(0), deleted))
        found.append(pc.add(matching.cast(pa.int64()), begin))
        begin += batch.num_rows
    return pa.concat_arrays(found)


def _is_in(values: pa.Array, wanted: pa.Array) -> pa.Array:
    if isinstance(values, pa.DictionaryArray):
        return pc.is_in(values.dictionary, value_set=wanted).take(values.indices)
    return pc.is_in(values, value_set=wanted)


def write_positions(path: Path, found: Iterable[tuple[str, pa.Array]], number: int) -> int:
    """Writes a file of position deletes on this machine, one row group at a time; returns the number of positions.

    Args:
      path: the file.
      found: absolute name of a data file, and positions of rows in it, ascending; sorted by name.
      number: number of the snapshot that the file is written for. It is part of the file, so that no file has the name
        of an earlier one: Iceberg applies positions to data files that are not newer than they are.

    Raises:
      storage.StorageError: the disk is full.
    """
    schema = POSITIONS.with_metadata({"catalog-tagger.snapshot": str(number)})
    count = 0
    try:
        with pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            write_page_checksum=True,
            write_page_index=True,
            use_dictionary=["file_path"],
            column_encoding={"pos": "DELTA_BINARY_PACKED"},
            sorting_columns=pq.SortingColumn.from_ordering(schema, [(name, "ascending") for name in schema.names]),
        ) as writer:
            for group in _row_groups(found):
                writer.write_table(pa.concat_tables(group).replace_schema_metadata(schema.metadata))
                count += sum(rows.num_rows for rows in group)
    except OSError as error:
        raise storage.StorageError(
            f"{path}: {error.strerror or error}: free space there, or let TMPDIR name a folder on another disk"
        ) from error
    return count


def _row_groups(found: Iterable[tuple[str, pa.Array]]) -> Iterator[list[pa.Table]]:
    """Rows of each row group: of whole data files, or a part of one data file that does not fit."""
    group: list[pa.Table] = []
    for url, own in found:
        for begin in range(0, len(own), POSITIONS_PER_GROUP):
            part = own.slice(begin, POSITIONS_PER_GROUP)
            if group and sum(rows.num_rows for rows in group) + len(part) > POSITIONS_PER_GROUP:
                yield group
                group = []
            group.append(pa.table([pa.repeat(pa.scalar(url), len(part)), part], schema=POSITIONS))
    if group:
        yield group


class PositionCursor:
    """Reads a file of position deletes forward: data file by data file, in the order of their names.

    At most one batch is in memory, and the positions of one data file. The file may be opened with `file_path` read as
    a dictionary.
    """

    def __init__(self, file: CheckedFile) -> None:
        self._batches: Iterator[pa.RecordBatch] = file.iter_batches(columns=POSITIONS.names, use_threads=False)
        self._rest: pa.RecordBatch | None = None

    def take(self, url: str) -> pa.Array:
        """Positions of a data file's rows; those of files whose names are less are passed over."""
        found = [pa.array([], pa.int64())]
        while (batch := self._rest or next(self._batches, None)) is not None:
            names, places = batch["file_path"], range(batch.num_rows)

            def name(place: int, names: pa.Array = names) -> str:
                return str(names[place])

            first, end = (find(places, url, key=name) for find in (bisect.bisect_left, bisect.bisect_right))
            found.append(batch["pos"].slice(first, end - first))
            self._rest = batch.slice(end) if end < batch.num_rows else None
            if self._rest is not None:
                break
        return pa.concat_arrays(found)
