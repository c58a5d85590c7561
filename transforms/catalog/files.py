"""Catalog files in storage: finding them, their columns, and their rows before validation."""

import csv
import dataclasses
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Literal

import pyarrow as pa

from transforms import storage
from transforms.catalog import limits
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


def _check_names(names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"columns {repeated} are repeated in the header: rename one of each")
    if "" in names:
        raise ValueError(f"column {names.index('') + 1} has no name: name it or remove it")


def _lines(stream: BinaryIO) -> io.TextIOWrapper:
    """Text of a file with or without a byte order mark. Bytes that are not UTF-8 are reported later, with their row."""
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _csv_reader(stream: BinaryIO, kind: Format) -> Any:
    return csv.reader(_lines(stream), delimiter="\t" if kind == "tsv" else ",", strict=True)


def _csv_header(stream: BinaryIO, kind: Format) -> list[str]:
    for row in _csv_reader(stream, kind):
        if row:
            names = [name.strip() for name in row]
            _check_names(names)
            return names
    raise ValueError("the file is empty: the first line must name the columns")


def _json_columns(stream: BinaryIO) -> dict[str, pa.DataType]:
    """All keys of all lines, each with the type that fits its values, or text if no single type fits."""
    kinds: dict[str, set[type]] = {}
    for row in _json_rows(stream):
        for key, value in row.value.items() if isinstance(row.value, dict) else ():
            kinds.setdefault(key, set()).add(_kind(value))
    _check_names(list(kinds))
    return {key: _json_type(found - {type(None)}) for key, found in kinds.items()}


def _kind(value: Any) -> type:
    """The value's type. A whole number that exceeds 64 bits counts as text."""
    return str if type(value) is int and not -(2**63) <= value < 2**63 else type(value)


def _json_type(kinds: set[type]) -> pa.DataType:
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds and kinds <= {int, float} else pa.string()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _TextRow:
    """One row of a text file: its fields or object, or the error of parsing it."""

    row: int
    line: int
    value: Any


def _json_rows(stream: BinaryIO) -> Iterator[_TextRow]:
    row = 0
    for number, text in enumerate(_lines(stream), 1):
        if text.strip():
            row += 1
            yield _TextRow(row=row, line=number, value=_json_value(text))


def _json_value(text: str) -> Any:
    """The line's object, or the error as a value. NaN and infinity, which JSON does not allow, become null."""
    try:
        value = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as e:
        return ValueError(f"not a JSON object ({e}): write one object per line")
    if not isinstance(value, dict):
        return ValueError(f"{text.strip()[:60]!r} is not a JSON object: write one object per line")
    return value


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
            yield _TextRow(row=row, line=reader.line_num, value=value)


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
        problems = [_too_large(url, first, part.too_large)] if part.too_large else []
        yield RawBatch(columns=columns, rows=list(range(first, first + len(batch))), lines=None, problems=problems)


def _too_large(url: str, row: int, size: int, line: int | None = None) -> Problem:
    message = f"the row has {size} bytes, at most {limits.ROW_BYTES} are read: shorten its values"
    return Problem(file=url, row=row, column=None, message=message, line=line)


def _text_batches(
    file: CatalogFile, rows: Iterator[_TextRow], batch_rows: int, fields: Callable[[Any, list[str]], list[Any]]
) -> Iterator[RawBatch]:
    names = list(file.columns)
    good: list[tuple[_TextRow, list[Any]]] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            good.append((row, fields(row.value, names)))
        except ValueError as e:
            problems.append(Problem(file=file.url, row=row.row, column=None, message=str(e), line=row.line))
        if len(good) + len(problems) >= batch_rows:
            yield _raw_batch(names, good, problems)
            good, problems = [], []
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
