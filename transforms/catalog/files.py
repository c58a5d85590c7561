"""Catalog files in storage: finding them, their columns, and their rows before validation."""

import csv
import dataclasses
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Literal

import pyarrow as pa

from transforms import storage
from transforms.catalog import limits
from transforms.catalog.json_objects import json_columns, json_object
from transforms.catalog.parquet_rows import RowGroup, group_rows, probe_parquet
from transforms.catalog.problems import CatalogError, Problem
from transforms.formats.parquet import ParquetError

Format = Literal["parquet", "csv", "tsv", "jsonl"]

_FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
CATALOG_SUFFIXES = tuple(_FORMATS)
"""Suffixes of catalog file names."""

_MAX_FIELD = 16 * 1024 * 1024
_TEXT_BATCH_BYTES = limits.BATCH_BYTES // 4  # rows of text need several times their size as objects
_CELL_BYTES = 16
_LINE_CHARS = 4 * limits.ROW_BYTES

csv.field_size_limit(_MAX_FIELD)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogFile:
    """One file of a catalog.

    Attributes:
      url: URL of the file.
      format: its format, from the suffix of its name.
      columns: name and type of each column. Columns of a CSV are strings; types of JSON Lines follow from the values.
      row_groups: the row groups of a Parquet file; empty for other formats, and in shards.
    """

    url: str
    format: Format
    columns: dict[str, pa.DataType]
    row_groups: tuple[RowGroup, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class RawBatch:
    """Rows as stored, column by column, with the row number (and text line) of each, from 1."""

    columns: dict[str, pa.Array | list[Any]]
    rows: list[int]
    lines: list[int] | None
    problems: list[Problem]


def find_files(url: str) -> list[tuple[str, Format]]:
    """Finds the catalog files that a file, a folder or a glob names, in order of their names.

    In a folder or glob, other files and names that start with `.` or `_` are skipped.

    Raises:
      CatalogError: there is no catalog file.
    """
    if (kind := _format(url)) is not None and (not is_glob(url) or storage.exists(url)):
        return [(url, kind)]
    pattern = _glob_pattern(url) if is_glob(url) else None
    listed = [info.url for info in storage.list_files(glob_folder(url) if pattern else url)]
    names = sorted(name for name in listed if (pattern is None or pattern.fullmatch(name)) and not _hidden(name))
    files = [(name, kind) for name in names if (kind := _format(name)) is not None]
    if not files:
        hint = f"name catalog files {', '.join(CATALOG_SUFFIXES)}"
        raise CatalogError([Problem(file=url, row=None, column=None, message=f"no catalog file here: {hint}")])
    return files


def is_glob(url: str) -> bool:
    """Whether the URL contains a wildcard: `*`, `?` or `[`."""
    return any(mark in url for mark in "*?[")


def glob_folder(url: str) -> str:
    """The folder above the first wildcard."""
    return re.split(r"[*?\[]", url, maxsplit=1)[0].rpartition("/")[0] or ("/" if url.startswith("/") else ".")


def _format(url: str) -> Format | None:
    return next((kind for suffix, kind in _FORMATS.items() if url.lower().endswith(suffix)), None)


def _hidden(url: str) -> bool:
    return url.rpartition("/")[2].startswith((".", "_"))


def _glob_pattern(url: str) -> re.Pattern[str]:
    """The pattern of a glob: `*` and `?` match within one folder level, `**` across levels, `[...]` one character."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", url)
    body = "".join(parts.get(t) or (t if t.startswith("[") and t.endswith("]") else re.escape(t)) for t in tokens)
    return re.compile(rf"(?:\./)?{body}")


def probe(url: str, kind: Format) -> CatalogFile:
    """Reads the columns of a file: from a Parquet footer, a CSV header, or the keys of all lines of JSON Lines.

    Raises:
      CatalogError: the file is missing, or its content does not match its suffix.
    """
    try:
        if kind == "parquet":
            return _probe_parquet(url)
        with storage.open_input(url) as stream:
            if kind == "jsonl":
                return CatalogFile(url=url, format=kind, columns=_json_columns(stream))
            return CatalogFile(url=url, format=kind, columns=dict.fromkeys(_csv_header(stream, kind), pa.string()))
    except storage.NotFound as e:
        raise CatalogError([Problem(file=url, row=None, column=None, message=f"no such file ({e})")]) from e
    except (ValueError, ParquetError, csv.Error) as e:
        message = str(e).removeprefix(f"{url}: ")
        raise CatalogError([Problem(file=url, row=None, column=None, message=message)]) from e


def _probe_parquet(url: str) -> CatalogFile:
    schema, groups = probe_parquet(url)
    _check_names(schema.names)
    columns = dict(zip(schema.names, schema.types, strict=True))
    return CatalogFile(url=url, format="parquet", columns=columns, row_groups=groups)


def _json_columns(stream: BinaryIO) -> dict[str, pa.DataType]:
    columns = json_columns((row.line, row.value) for row in _json_rows(stream))
    _check_names(list(columns))
    return columns


def _check_names(names: list[str]) -> None:
    limits.check_columns(names)
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise ValueError(f"columns {repeated[:20]} are repeated in the header: rename one of each")
    if "" in names:
        raise ValueError(f"column {names.index('') + 1} has no name: name it or remove it")


def _lines(stream: BinaryIO) -> Iterator[str]:
    """Lines of a file with or without a byte order mark. Bytes that are not UTF-8 are reported later, with their row.

    Of a line that is too long to be a row, only the beginning is in memory.
    """
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    while line := text.readline(_LINE_CHARS):
        yield line
        while len(line) == _LINE_CHARS and line[-1] != "\n":
            line = text.readline(_LINE_CHARS)


def _csv_reader(stream: BinaryIO, kind: Format) -> Any:
    return csv.reader(_lines(stream), delimiter="\t" if kind == "tsv" else ",", strict=True)


def _csv_header(stream: BinaryIO, kind: Format) -> list[str]:
    for row in _csv_reader(stream, kind):
        if row:
            names = [name.strip() for name in row]
            _check_names(names)
            return names
    raise ValueError("the file is empty: the first line must name the columns")


@dataclasses.dataclass(frozen=True, kw_only=True)
class _TextRow:
    """One row of a text file: its fields or object, or the error of parsing it; `size` is its length."""

    row: int
    line: int
    value: Any
    size: int


def _json_rows(stream: BinaryIO) -> Iterator[_TextRow]:
    row = 0
    for number, text in enumerate(_lines(stream), 1):
        if text.strip():
            row += 1
            yield _TextRow(row=row, line=number, value=json_object(text), size=len(text))


def _csv_rows(stream: BinaryIO, kind: Format) -> Iterator[_TextRow]:
    """Yields the rows after the header. Empty lines are skipped."""
    reader = _csv_reader(stream, kind)
    row = -1
    while True:
        try:
            value: Any = next(reader)
        except StopIteration:
            return
        except csv.Error as e:
            value = ValueError(f"broken CSV ({e}): close quotes, and double those inside a field")
        if value:
            row += 1
        if value and row > 0:
            size = 0 if isinstance(value, ValueError) else sum(map(len, value)) + len(value)
            yield _TextRow(row=row, line=reader.line_num, value=value, size=size)


def count(file: CatalogFile) -> int:
    """Number of rows of a text file."""
    with storage.open_input(file.url) as stream:
        return sum(1 for _ in (_json_rows(stream) if file.format == "jsonl" else _csv_rows(stream, file.format)))


def raw_batches(file: CatalogFile, batch_rows: int) -> Iterator[RawBatch]:
    """Yields the rows of a text file, at most `batch_rows` at a time."""
    with storage.open_input(file.url) as stream:
        if file.format == "jsonl":
            yield from _text_batches(file, _json_rows(stream), batch_rows, _json_fields)
        else:
            yield from _text_batches(file, _csv_rows(stream, file.format), batch_rows, _csv_fields)


def parquet_batches(url: str, number: int, group: RowGroup, batch_rows: int) -> Iterator[RawBatch]:
    """Yields the rows of a row group of a Parquet file, at most `batch_rows` at a time."""
    for part in group_rows(url, number, group, batch_rows):
        first, batch = part.first + 1, part.batch
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        problems = [
            Problem(file=url, row=row, column=None, message=limits.row_size(size))
            for row, size in enumerate(part.too_large, first)
        ]
        yield RawBatch(columns=columns, rows=list(range(first, first + len(batch))), lines=None, problems=problems)


def _text_batches(
    file: CatalogFile, rows: Iterator[_TextRow], batch_rows: int, fields: Callable[[Any, list[str]], list[Any]]
) -> Iterator[RawBatch]:
    names = list(file.columns)
    good: list[tuple[_TextRow, list[Any]]] = []
    problems: list[Problem] = []
    size = 0
    for row in rows:
        try:
            if row.size > limits.ROW_BYTES and not isinstance(row.value, ValueError):
                raise ValueError(limits.row_size(row.size))
            good.append((row, fields(row.value, names)))
        except ValueError as e:
            problems.append(Problem(file=file.url, row=row.row, column=None, message=str(e), line=row.line))
        size += row.size + _CELL_BYTES * len(names)
        if len(good) + len(problems) >= batch_rows or size >= _TEXT_BATCH_BYTES:
            yield _raw_batch(names, good, problems)
            good, problems, size = [], [], 0
    if good or problems:
        yield _raw_batch(names, good, problems)


def _raw_batch(names: list[str], good: list[tuple[_TextRow, list[Any]]], problems: list[Problem]) -> RawBatch:
    columns: dict[str, pa.Array | list[Any]] = {name: [values[i] for _, values in good] for i, name in enumerate(names)}
    return RawBatch(
        columns=columns, rows=[row.row for row, _ in good], lines=[row.line for row, _ in good], problems=problems
    )


def _csv_fields(value: Any, names: list[str]) -> list[Any]:
    if isinstance(value, ValueError):
        raise value
    if len(value) != len(names):
        raise ValueError(f"{len(value)} fields, the header has {len(names)}: quote fields that contain the separator")
    return [field if field != "" else None for field in value]


def _json_fields(value: Any, names: list[str]) -> list[Any]:
    if isinstance(value, ValueError):
        raise value
    return [value.get(name) for name in names]
