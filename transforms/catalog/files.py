"""Catalog files in storage: finding them, their columns, and their rows before validation."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Literal

import pyarrow as pa

from transforms import storage
from transforms.catalog import limits
from transforms.catalog.delimited.encoding import has_open_end, open_text, text_lines
from transforms.catalog.delimited.table import TextTable, open_text_table
from transforms.catalog.json_objects import json_columns, json_object
from transforms.catalog.parquet_rows import RowGroup, group_rows, probe_parquet
from transforms.catalog.problems import NO_CATALOG, NO_FILE, CatalogError, Problem
from transforms.catalog.sources import check_links
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

_PACKED = re.compile(
    rf"({'|'.join(map(re.escape, _FORMATS))})\.(gz|gzip|bz2|xz|zst|zstd|lz4|br|zip|7z|rar|snappy|sz|z)$", re.IGNORECASE
)
_UNFINISHED = re.compile(
    rf"({'|'.join(map(re.escape, _FORMATS))})\.(part|partial|filepart|tmp|temp|crdownload|download)$", re.IGNORECASE
)

_TEXT_BATCH_BYTES = limits.BATCH_BYTES // 4  # rows of text need several times their size as objects
_CELL_BYTES = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogFile:
    """One file of a catalog.

    Attributes:
      url: URL of the file.
      format: its format, from the suffix of its name.
      columns: name and type of each column. Columns of a CSV are strings; types of JSON Lines follow from the values.
      row_groups: the row groups of a Parquet file; empty for other formats, and in shards.
      table: a CSV's form, columns and number of rows; None for other formats.
      open_end: whether the last line of a text file has no line end, as in a file that was cut.
    """

    url: str
    format: Format
    columns: dict[str, pa.DataType]
    row_groups: tuple[RowGroup, ...] = ()
    table: TextTable | None = None
    open_end: bool = False


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
      CatalogError: there is no catalog file, or one is a link out of the folder, compressed or unfinished: its rows
        would be missing.
    """
    folder, glob = split_glob(url)
    if (kind := _format(url)) is not None and not glob:
        return [(url, kind)]
    pattern = _glob_pattern(folder, glob) if glob else None
    listed = [info.url for info in storage.list_files(folder)]
    names = sorted(name for name in listed if (pattern is None or pattern.fullmatch(name)) and not _hidden(name))
    check_links(names, folder)
    _check_whole(names or [url])
    files = [(name, kind) for name in names if (kind := _format(name)) is not None]
    if not files:
        hint = f"name catalog files {', '.join(CATALOG_SUFFIXES)}"
        raise CatalogError([Problem(file=url, row=None, column=None, message=f"{NO_CATALOG}: {hint}")])
    return files


def _check_whole(names: Sequence[str]) -> None:
    """Raises CatalogError if files of a catalog are compressed, or were not copied to the end."""
    problems = []
    for name in names:
        if _PACKED.search(name):
            problems.append((name, "compressed files are not read: unpack it, or move it out of the catalog"))
        elif _UNFINISHED.search(name):
            problems.append((name, "its name says that it is not finished: finish it, or move it out of the catalog"))
    if problems:
        raise CatalogError([Problem(file=name, row=None, column=None, message=why) for name, why in problems[:20]])


def split_glob(url: str) -> tuple[str, str]:
    """The folder above the first wildcard (`*`, `?`, `[`), and the rest of the URL; "" if it has no wildcard.

    Names that exist are taken literally: a folder may be called `Parts [2024]`.
    """
    parts = url.split("/")
    for i, part in enumerate(parts):
        if any(mark in part for mark in "*?[") and not _is_there("/".join(parts[: i + 1])):
            return "/".join(parts[:i]) or ("/" if url.startswith("/") else "."), "/".join(parts[i:])
    return url, ""


def _is_there(url: str) -> bool:
    return storage.exists(url) or any(True for _ in storage.list_files(url))


def _format(url: str) -> Format | None:
    return next((kind for suffix, kind in _FORMATS.items() if url.lower().endswith(suffix)), None)


def _hidden(url: str) -> bool:
    return url.rpartition("/")[2].startswith((".", "_"))


def _glob_pattern(folder: str, glob: str) -> re.Pattern[str]:
    """The pattern of a glob: `*` and `?` match within one folder level, `**` across levels, `[...]` one character."""
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", glob)
    body = "".join(parts.get(t) or (t if t.startswith("[") and t.endswith("]") else re.escape(t)) for t in tokens)
    return re.compile(f"{re.escape(folder.removesuffix('/'))}/{body}")


def probe(url: str, kind: Format) -> CatalogFile:
    """Reads the columns of a file: from a Parquet footer, or from one pass over a CSV or JSON Lines.

    Raises:
      CatalogError: the file is missing, or its content does not match its suffix.
    """
    try:
        if kind in ("csv", "tsv"):
            return _probe_table(url, kind)
        if kind == "parquet":
            return _probe_parquet(url)
        with storage.open_input(url) as stream:
            open_end = has_open_end(stream)
            return CatalogFile(url=url, format=kind, columns=_json_columns(stream), open_end=open_end)
    except storage.NotFound as e:
        raise CatalogError([Problem(file=url, row=None, column=None, message=f"{NO_FILE} ({e})")]) from e
    except (ValueError, ParquetError) as e:
        message, gate = str(e).removeprefix(f"{url}: "), "counted" if isinstance(e, ParquetError) else None
        raise CatalogError([Problem(file=url, row=None, column=None, message=message, gate=gate)]) from e


def _probe_parquet(url: str) -> CatalogFile:
    names, columns, groups = probe_parquet(url)
    _check_names(names)
    return CatalogFile(url=url, format="parquet", columns=columns, row_groups=groups)


def _probe_table(url: str, kind: Format) -> CatalogFile:
    table = open_text_table(url)
    _check_names(table.names)
    columns = dict.fromkeys(table.names, pa.string())
    return CatalogFile(url=url, format=kind, columns=columns, table=table, open_end=table.open_end)


def _check_names(names: Sequence[str]) -> None:
    limits.check_columns(names)
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise ValueError(f"columns {repeated[:20]} are repeated in the header: rename one of each")
    if "" in names:
        raise ValueError(f"column {names.index('') + 1} has no name: name it or remove it")


def _json_columns(stream: BinaryIO) -> dict[str, pa.DataType]:
    columns = json_columns((line, value) for line, value, _ in _json_rows(stream))
    _check_names(list(columns))
    return columns


_TextRow = tuple[int, Any, int]
"""The line on which a row of a text file ends; its fields or object, or the error of parsing it; and its characters."""


def _json_rows(stream: BinaryIO) -> Iterator[_TextRow]:
    for number, text in enumerate(text_lines(open_text(stream)), 1):
        if text.strip():
            yield number, json_object(text), len(text)


def _table_rows(table: TextTable) -> Iterator[_TextRow]:
    for line, fields in table.records():
        yield line, fields, 0 if isinstance(fields, ValueError) else sum(map(len, fields)) + len(fields)


def count(file: CatalogFile) -> int:
    """Number of rows of a text file: from the pass over a CSV, or by reading JSON Lines."""
    if file.table is not None:
        return file.table.rows
    with storage.open_input(file.url) as stream:
        return sum(1 for _ in _json_rows(stream))


def raw_batches(file: CatalogFile, batch_rows: int) -> Iterator[RawBatch]:
    """Yields the rows of a text file, at most `batch_rows` at a time."""
    if file.table is not None:
        yield from _text_batches(file, _table_rows(file.table), batch_rows, _csv_fields)
        return
    with storage.open_input(file.url) as stream:
        yield from _text_batches(file, _json_rows(stream), batch_rows, _json_fields)


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
    good: list[tuple[int, int, list[Any]]] = []
    problems: list[Problem] = []
    held = 0
    for row, (line, value, size) in enumerate(rows, 1):
        try:
            if size > limits.ROW_BYTES and not isinstance(value, ValueError):
                raise ValueError(limits.row_size(size))
            good.append((row, line, fields(value, names)))
        except ValueError as e:
            problems.append(Problem(file=file.url, row=row, column=None, message=str(e), line=line))
        held += size + _CELL_BYTES * len(names)
        if len(good) + len(problems) >= batch_rows or held >= _TEXT_BATCH_BYTES:
            yield _raw_batch(names, good, problems)
            good, problems, held = [], [], 0
    if good or problems:
        yield _raw_batch(names, good, problems)


def _raw_batch(names: list[str], good: list[tuple[int, int, list[Any]]], problems: list[Problem]) -> RawBatch:
    columns: dict[str, pa.Array | list[Any]] = {
        name: [values[i] for _, _, values in good] for i, name in enumerate(names)
    }
    return RawBatch(
        columns=columns, rows=[row for row, _, _ in good], lines=[line for _, line, _ in good], problems=problems
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
