"""Catalog files in storage: finding them, their columns, and their rows before validation."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from transforms import storage
from transforms.catalog.delimited.encoding import open_text, text_lines
from transforms.catalog.delimited.table import TextTable, open_text_table
from transforms.catalog.problems import CatalogError, Problem
from transforms.catalog.sources import check_links
from transforms.catalog.stored_types import far_columns

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogFile:
    """One file of a catalog.

    Attributes:
      url: URL of the file.
      format: its format, from the suffix of its name.
      columns: name and type of each column. Columns of a CSV are strings; types of JSON Lines follow from the values.
      row_groups: number of rows of each row group (Parquet); empty otherwise.
      table: a CSV's form, columns and number of rows; None for other formats.
    """

    url: str
    format: Format
    columns: dict[str, pa.DataType]
    row_groups: tuple[int, ...] = ()
    table: TextTable | None = None


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
      CatalogError: there is no catalog file, or one is a link out of the folder.
    """
    folder, glob = split_glob(url)
    if (kind := _format(url)) is not None and not glob:
        return [(url, kind)]
    pattern = _glob_pattern(folder, glob) if glob else None
    listed = [info.url for info in storage.list_files(folder)]
    names = sorted(name for name in listed if (pattern is None or pattern.fullmatch(name)) and not _hidden(name))
    check_links(names, folder)
    files = [(name, kind) for name in names if (kind := _format(name)) is not None]
    if not files:
        hint = f"name catalog files {', '.join(CATALOG_SUFFIXES)}"
        raise CatalogError([Problem(file=url, row=None, column=None, message=f"no catalog file here: {hint}")])
    return files


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
        with storage.open_input(url) as stream:
            if kind == "parquet":
                return _probe_parquet(url, stream)
            return CatalogFile(url=url, format=kind, columns=_json_columns(stream))
    except storage.NotFound as e:
        raise CatalogError([Problem(file=url, row=None, column=None, message=f"no such file ({e})")]) from e
    except (ValueError, pa.ArrowException) as e:
        raise CatalogError([Problem(file=url, row=None, column=None, message=str(e))]) from e


def _probe_parquet(url: str, stream: BinaryIO) -> CatalogFile:
    footer = pq.ParquetFile(stream)
    schema, meta = footer.schema_arrow, footer.metadata
    _check_names(schema.names)
    groups = tuple(meta.row_group(i).num_rows for i in range(meta.num_row_groups))
    columns = dict(zip(schema.names, schema.types, strict=True)) | dict.fromkeys(far_columns(footer), pa.string())
    return CatalogFile(url=url, format="parquet", columns=columns, row_groups=groups)


def _probe_table(url: str, kind: Format) -> CatalogFile:
    table = open_text_table(url)
    _check_names(table.names)
    return CatalogFile(url=url, format=kind, columns=dict.fromkeys(table.names, pa.string()), table=table)


def _check_names(names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"columns {repeated} are repeated in the header: rename one of each")
    if "" in names:
        raise ValueError(f"column {names.index('') + 1} has no name: name it or remove it")


def _json_columns(stream: BinaryIO) -> dict[str, pa.DataType]:
    """All keys of all lines, each with the type that fits its values, or text if no single type fits."""
    kinds: dict[str, set[type]] = {}
    for _, row in _json_rows(stream):
        for key, value in row.items() if isinstance(row, dict) else ():
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


_TextRow = tuple[int, Any]
"""The line on which a row of a text file ends, and its fields or object, or the error of parsing it."""


def _json_rows(stream: BinaryIO) -> Iterator[_TextRow]:
    for number, text in enumerate(text_lines(open_text(stream)), 1):
        if text.strip():
            yield number, _json_value(text)


def _json_value(text: str) -> Any:
    """The line's object, or the error as a value. NaN and infinity, which JSON does not allow, become null."""
    try:
        value = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as e:
        return ValueError(f"not a JSON object ({e}): write one object per line")
    if not isinstance(value, dict):
        return ValueError(f"{text.strip()[:60]!r} is not a JSON object: write one object per line")
    return value


def count(file: CatalogFile) -> int:
    """Number of rows of a file: from a Parquet footer, from the pass over a CSV, or by reading JSON Lines."""
    if file.table is not None:
        return file.table.rows
    if file.format == "parquet":
        return sum(file.row_groups)
    with storage.open_input(file.url) as stream:
        return sum(1 for _ in _json_rows(stream))


def raw_batches(file: CatalogFile, row_group: int | None, batch_rows: int) -> Iterator[RawBatch]:
    """Yields the rows of a file, or of one row group of a Parquet file, at most `batch_rows` at a time."""
    if file.table is not None:
        yield from _text_batches(file, file.table.records(), batch_rows, _csv_fields)
        return
    with storage.open_input(file.url) as stream:
        if file.format == "parquet":
            yield from _parquet_batches(stream, row_group or 0, batch_rows)
        else:
            yield from _text_batches(file, _json_rows(stream), batch_rows, _json_fields)


def _parquet_batches(stream: BinaryIO, row_group: int, batch_rows: int) -> Iterator[RawBatch]:
    source = pq.ParquetFile(stream, page_checksum_verification=True)
    done = sum(source.metadata.row_group(i).num_rows for i in range(row_group))
    for batch in source.iter_batches(batch_size=batch_rows, row_groups=[row_group]):
        rows = list(range(done + 1, done + 1 + len(batch)))
        done += len(batch)
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        yield RawBatch(columns=columns, rows=rows, lines=None, problems=[])


def _text_batches(
    file: CatalogFile, rows: Iterator[_TextRow], batch_rows: int, fields: Callable[[Any, list[str]], list[Any]]
) -> Iterator[RawBatch]:
    names = list(file.columns)
    good: list[tuple[int, int, list[Any]]] = []
    problems: list[Problem] = []
    for row, (line, value) in enumerate(rows, 1):
        try:
            good.append((row, line, fields(value, names)))
        except ValueError as e:
            problems.append(Problem(file=file.url, row=row, column=None, message=str(e), line=line))
        if len(good) + len(problems) >= batch_rows:
            yield _raw_batch(names, good, problems)
            good, problems = [], []
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
