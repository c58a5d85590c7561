"""Reads and writes all Parquet files: zstd, page checksums, page index, compliant nested types."""

import bisect
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from transforms import storage
from transforms.formats.parquet_structure import StructureError, read_chunks
from transforms.schemas.tables import DELETED_BY, EMBEDDINGS, SCHEMA_VERSION

ROW_GROUP_ROWS = 262_144
_DICTIONARY_BYTES = 4 << 20
SORTED_BY: dict[str, list[tuple[str, str]]] = {
    "track_tags": [("category", "ascending"), ("tag", "ascending"), ("score", "descending")],
    "tracks": [("track_id", "ascending")],
    "embeddings": [("track_id", "ascending")],
    "ledger": [("track_id", "ascending")],
    "taxonomy": [("tag", "ascending")],
    "artist_tags": [("artist_id", "ascending"), ("category", "ascending"), ("rank", "ascending")],
    "album_tags": [("album_id", "ascending"), ("category", "ascending"), ("rank", "ascending")],
    "neighbours": [("track_id", "ascending"), ("rank", "ascending")],
    **{kind: [(key, "ascending")] for kind, (key, _) in DELETED_BY.items()},
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
    options = _encodings(table.schema, name) | _bloom(table, name)
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


def _encodings(schema: pa.Schema, name: str) -> dict[str, Any]:
    """Dictionaries, but byte-stream split for the embeddings of part files, which only this program reads.

    Embeddings have at most 65,536 different values, because they are rounded to float16. A dictionary of all of them
    makes files of tables 2 % larger than byte-stream split, which Spark 3.5 does not read, and those of parts 38 %.
    """
    if name in SORTED_BY:
        return {"dictionary_pagesize_limit": _DICTIONARY_BYTES}
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


def parquet_table(data: bytes) -> pa.Table:
    """The table of a Parquet file in memory.

    Raises:
      pa.ArrowException: the bytes are no Parquet file, or a damaged one.
    """
    return CheckedFile(pa.BufferReader(data)).read(use_threads=False)


def read_parquet(url: str, columns: Sequence[str] | None = None) -> pa.Table:
    """One file of this project, its page checksums verified.

    Raises:
      storage.StorageError: the file is missing, unreadable or damaged.
    """
    with open_parquet(url) as file:
        return file.read(columns=list(columns) if columns is not None else None, use_threads=False)


class ParquetError(storage.StorageError):
    """The file is no Parquet file, or a damaged one."""


class CheckedFile(pq.ParquetFile):  # type: ignore[misc]
    """A Parquet file that delivers as many rows as its footer claims, or raises `pa.ArrowInvalid`.

    pyarrow ends without an error if a column has fewer values than its row group has rows. One wrong bit in a footer,
    which has no checksum, is enough. Pages are checked against their checksums, if they have any.
    """

    def __init__(self, source: Any, **options: Any) -> None:
        super().__init__(source, page_checksum_verification=True, **options)
        self._source = source
        self.group_rows = tuple(self.metadata.row_group(i).num_rows for i in range(self.num_row_groups))
        if min(self.group_rows, default=0) < 0 or sum(self.group_rows) != self.metadata.num_rows:
            raise pa.ArrowInvalid(
                f"the footer claims {self.metadata.num_rows} rows, its row groups {sum(self.group_rows)}: {_DAMAGED}"
            )

    def iter_batches(
        self, batch_size: int = 65_536, row_groups: Sequence[int] | None = None, *args: Any, **options: Any
    ) -> Iterator[pa.RecordBatch]:
        """See `pyarrow.parquet.ParquetFile.iter_batches`."""
        groups = range(self.num_row_groups) if row_groups is None else row_groups
        if missing := [group for group in groups if group >= self.num_row_groups]:
            raise pa.ArrowInvalid(f"no row group {missing[0]}, the footer lists {self.num_row_groups}: {_DAMAGED}")
        rows = 0
        for batch in super().iter_batches(batch_size, list(groups), *args, **options):
            rows += len(batch)
            yield batch
        _check_rows(rows, sum(self.group_rows[i] for i in groups))

    def first_row(self, group: int, column: str) -> pa.RecordBatch:
        """The first row of a row group. No more pages are decoded than it needs."""
        for batch in super().iter_batches(1, [group], [column], use_threads=False):
            return batch
        raise pa.ArrowInvalid(f"row group {group} has no rows: {_DAMAGED}")

    def groups_with(self, column: str, values: Sequence[str]) -> list[int]:
        """Row groups that may contain one of the sorted `values`, according to their minimum and maximum.

        pyarrow ends the process if a program looks at damaged statistics, so they are read without it.
        """
        if self.num_row_groups == 1:  # to read the footer again takes as long as to read its rows
            return [0]
        names, wanted = [field.path for field in self._leaves()], [value.encode() for value in values]
        if column not in names:
            raise pa.ArrowInvalid(f"no column {column}: {_DAMAGED}")
        chunks = read_chunks(self._source, _LONGEST_BOUND)
        if len(chunks) != self.num_row_groups:
            raise pa.ArrowInvalid(f"{len(chunks)} row groups, the footer lists {self.num_row_groups}: {_DAMAGED}")
        found = []
        for group, own in enumerate(chunks):
            low, high = own[names.index(column)].texts or (b"", None)
            end = len(wanted) if high is None else bisect.bisect_right(wanted, high)
            if bisect.bisect_left(wanted, low) < end:
                found.append(group)
        return found

    def _leaves(self) -> list[Any]:
        return [self.schema.column(place) for place in range(len(self.schema))]

    def read(self, *args: Any, **options: Any) -> pa.Table:
        """See `pyarrow.parquet.ParquetFile.read`."""
        table = super().read(*args, **options)
        _check_rows(table.num_rows, self.metadata.num_rows)
        return table


_LONGEST_BOUND = 4096
"""Longest bound of texts that is compared, in bytes; writers cut longer ones."""

_DAMAGED = "the file is damaged, write it again"


def _check_rows(found: int, claimed: int) -> None:
    if found != claimed:
        raise pa.ArrowInvalid(f"{found} rows were read, the footer claims {claimed}: {_DAMAGED}")


@contextlib.contextmanager
def open_parquet(
    url: str, dictionaries: Sequence[str] = (), open_file: Callable[[str], BinaryIO] = storage.open_input
) -> Iterator[CheckedFile]:
    """One Parquet file, open for reading.

    Args:
      url: its name.
      dictionaries: paths of columns that are read as dictionaries.
      open_file: opens it; a file of a snapshot is opened with `open_published`.

    Raises:
      ParquetError: the file is damaged, which may show only while it is read.
      storage.StorageError: the file is missing or unreadable.
    """
    try:
        with open_file(url) as source:
            yield CheckedFile(source, pre_buffer=True, read_dictionary=list(dictionaries))
    except storage.StorageError:
        raise
    except (OSError, pa.ArrowException, UnicodeDecodeError, StructureError) as error:
        raise ParquetError(f"{url}: {' '.join(str(error).split())}") from error
