"""Rows of a Parquet catalog in bounded memory: what its pages decode to is known before they are decoded."""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa

from transforms import storage
from transforms.catalog import limits
from transforms.catalog.stored_types import far_columns
from transforms.formats.parquet import CheckedFile, ParquetError, open_parquet
from transforms.formats.parquet_structure import ColumnChunk, PageSize, StructureError, page_sizes, read_chunks
from transforms.formats.row_sizes import row_sizes, without_dictionaries

_READ_BYTES = 64 << 20
"""Bytes that one read may decode, by the sizes of the pages."""

_LARGE_ENTRY = 1024
"""Bytes of an entry of a dictionary from which its column is read as a dictionary, and cut before it is decoded."""

_NESTED_BYTES = 256 << 20
"""The same for a nested column: bytes if each of its values were the largest entry."""

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParquetRows:
    """Rows of a row group.

    Attributes:
      first: number of the first row in the file, from 0.
      batch: rows without dictionaries, at most `BATCH_BYTES` and one row more. No rows if a row is too large.
      too_large: sizes of the rows from `first` on if they are too large to be read; empty for other rows.
    """

    first: int
    batch: pa.RecordBatch
    too_large: tuple[int, ...] = ()


class RowGroup(NamedTuple):
    """A row group of a file: the row of the file that it begins with, from 0, its number of rows, and its columns."""

    first: int
    rows: int
    chunks: tuple[ColumnChunk, ...]


def probe_parquet(url: str) -> tuple[list[str], dict[str, pa.DataType], tuple[RowGroup, ...]]:
    """Names of the columns of a catalog's file, their types by name, and the row groups.

    Columns with dates outside of Python's calendar are texts.

    Raises:
      ParquetError: the file is damaged, or exceeds a limit.
      storage.StorageError: the file is missing or unreadable.
    """
    with _named(url), storage.open_input(url) as stream:
        chunks = read_chunks(stream)
        size = stream.seek(0, 2)
    with open_parquet(url) as file, _named(url):
        schema, rows = file.schema_arrow, file.metadata.num_rows
        if file.num_row_groups > limits.MOST_ROW_GROUPS:
            raise StructureError(f"{file.num_row_groups} row groups, at most {limits.MOST_ROW_GROUPS} are read")
        if rows > size * limits.ROWS_PER_BYTE:
            raise StructureError(f"{rows} rows in {size} bytes: rows of a catalog differ, so the file is damaged")
        columns = dict(zip(schema.names, schema.types, strict=True))
        columns |= dict.fromkeys(far_columns(file.schema, chunks), pa.string())
        firsts = itertools.accumulate(file.group_rows, initial=0)
        return schema.names, columns, tuple(map(RowGroup, firsts, file.group_rows, chunks))


@contextlib.contextmanager
def _named(url: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ParquetError(f"{url}: {error}") from error


def group_rows(url: str, number: int, group: RowGroup, batch_rows: int) -> Iterator[ParquetRows]:
    """Yields the rows of a row group, at most `batch_rows` at a time.

    Raises:
      ParquetError: the file is damaged, or exceeds a limit.
    """
    with open_parquet(url) as file:
        with _named(url), storage.open_input(url) as stream:
            plan = _plan(file, stream, number, group)
            rows = min(batch_rows, plan.rows_in(_READ_BYTES))
        with open_parquet(url, plan.dictionaries) if plan.dictionaries else contextlib.nullcontext(file) as source:
            first, decoded = group.first, 0
            for batch in source.iter_batches(rows, [number], use_threads=False):
                for part in _cut(first, batch):
                    decoded += part.batch.nbytes
                    _check_growth(url, decoded, sum(chunk.length for chunk in group.chunks))
                    yield part
                first += len(batch)


def _check_growth(url: str, decoded: int, stored: int) -> None:
    if decoded > limits.DECODED_FREE + stored * limits.DECODED_PER_BYTE:
        raise ParquetError(
            f"{url}: {stored} bytes decode to more than {decoded}: remove columns whose long texts repeat in all rows"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Leaf:
    """One column of a row group without children, and its pages.

    Attributes:
      path: its name, with those of its parents.
      width: bytes of a value; None for texts.
      nested: whether a row may have several values.
    """

    path: str
    width: int | None
    nested: bool
    values: int
    pages: list[PageSize]

    @property
    def has_dictionary(self) -> bool:
        return any(page.is_dictionary for page in self.pages)

    @property
    def largest_pages(self) -> int:
        """Bytes of the largest page and of the dictionary."""
        return sum(max((p.size for p in self.pages if p.is_dictionary is kind), default=0) for kind in (False, True))

    def value_bytes(self, entry: int) -> int:
        """Largest mean size of the values of a page, if its dictionary's largest entry has this size."""
        if self.width is not None:
            return self.width
        pages = [page for page in self.pages if not page.is_dictionary]
        return max([entry, *(p.size if p.repeats_prefixes else p.size // max(p.values, 1) + 1 for p in pages)])


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Plan:
    """How a row group is read: the columns that stay dictionaries, and bytes of a row of the other ones."""

    dictionaries: tuple[str, ...]
    row_bytes: int

    def rows_in(self, size: int) -> int:
        return max(1, size // max(1, self.row_bytes))


def _plan(file: CheckedFile, stream: BinaryIO, number: int, group: RowGroup) -> _Plan:
    leaves = [_leaf(file, stream, i, chunk) for i, chunk in enumerate(group.chunks)]
    _check_leaves(leaves)
    entries = _largest_entries(file, stream, number, leaves) if group.rows else {}
    kept, row_bytes = [], 0
    for leaf in leaves:
        entry = entries.get(leaf.path, 0)
        if entry > _LARGE_ENTRY or (leaf.nested and entry * leaf.values > _NESTED_BYTES):
            kept.append(leaf.path)
            entry = 4
        row_bytes += leaf.value_bytes(entry) * (-(-leaf.values // max(group.rows, 1)) if leaf.nested else 1)
    return _Plan(dictionaries=tuple(kept), row_bytes=row_bytes)


def _leaf(file: CheckedFile, stream: BinaryIO, index: int, chunk: ColumnChunk) -> _Leaf:
    column = file.schema.column(index)
    kind = column.physical_type
    return _Leaf(
        path=column.path,
        width=column.length if kind == "FIXED_LEN_BYTE_ARRAY" else _WIDTHS.get(kind),
        nested=column.max_repetition_level > 0,
        values=chunk.values,
        pages=list(page_sizes(stream, chunk)),
    )


def _check_leaves(leaves: list[_Leaf]) -> None:
    for leaf in leaves:
        largest = max((page.size for page in leaf.pages), default=0)
        if largest > limits.PAGE_BYTES:
            raise StructureError(
                f"column {leaf.path}: a page of {largest} bytes, at most {limits.PAGE_BYTES} are read: shorten its "
                "values, or write smaller pages"
            )
        if leaf.width is not None and leaf.width > limits.TEXT_CHARS:
            raise StructureError(f"column {leaf.path}: values of {leaf.width} bytes, at most {limits.TEXT_CHARS}")
        size = sum(page.size for page in leaf.pages)
        if leaf.nested and (size > limits.GROUP_BYTES or leaf.values > limits.NESTED_VALUES):
            raise StructureError(
                f"column {leaf.path}: {leaf.values} values of {size} bytes in one row group: write smaller row groups"
            )
    if (total := sum(leaf.largest_pages for leaf in leaves)) > limits.GROUP_BYTES:
        raise StructureError(
            f"the largest pages of all columns have {total} bytes, at most {limits.GROUP_BYTES} are read: write "
            "smaller pages"
        )


def _largest_entries(file: CheckedFile, stream: BinaryIO, number: int, leaves: list[_Leaf]) -> dict[str, int]:
    """Column of texts -> bytes of the largest entry of its dictionary, from its first row."""
    paths = [leaf.path for leaf in leaves if leaf.width is None and leaf.has_dictionary]
    if not paths:
        return {}
    probe = CheckedFile(stream, metadata=file.metadata, read_dictionary=paths, buffer_size=1 << 16)
    return {path: max(map(_entry, probe.first_row(number, path).columns), default=0) for path in paths}


def _entry(array: pa.Array) -> int:
    """Bytes of the largest entry of all dictionaries in an array."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        sizes = row_sizes(pa.record_batch([array.dictionary], names=["entries"]))
        return int(sizes.max(initial=0))
    if pa.types.is_map(kind):
        return max(_entry(array.keys), _entry(array.items))
    if pa.types.is_struct(kind):
        return max((_entry(array.field(i)) for i in range(kind.num_fields)), default=0)
    return _entry(array.values) if hasattr(array, "values") else 0


def _cut(first: int, batch: pa.RecordBatch) -> Iterator[ParquetRows]:
    """Yields a batch in parts that are small when they are decoded, without rows that are too large."""
    decoded = all(field.type == without_dictionaries(field.type) for field in batch.schema)
    if decoded and batch.nbytes + 16 * sum(_items(column) for column in batch.columns) <= limits.ROW_BYTES:
        yield ParquetRows(first=first, batch=_decoded(batch))
        return
    sizes = row_sizes(batch)
    ends, nothing = np.cumsum(sizes), _decoded(batch.slice(0, 0))
    start = 0
    while start < len(batch):
        if sizes[start] > limits.ROW_BYTES:
            fine = np.flatnonzero(sizes[start:] <= limits.ROW_BYTES)
            end = start + int(fine[0]) if len(fine) else len(batch)
            yield ParquetRows(first=first + start, batch=nothing, too_large=tuple(sizes[start:end].tolist()))
            start = end
            continue
        before = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, before + limits.BATCH_BYTES, side="right")))
        large = np.flatnonzero(sizes[start:end] > limits.ROW_BYTES)
        end = start + int(large[0]) if len(large) else end
        yield ParquetRows(first=first + start, batch=_decoded(batch.slice(start, end - start)))
        start = end


def _items(array: pa.Array) -> int:
    values: Any = getattr(array, "values", None)
    return len(values) if values is not None else 0


def _decoded(batch: pa.RecordBatch) -> pa.RecordBatch:
    schema = pa.schema([field.with_type(without_dictionaries(field.type)) for field in batch.schema])
    return batch if schema.equals(batch.schema) else batch.cast(schema)
