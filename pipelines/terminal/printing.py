"""Writes rows as text: JSON, or a table that fits the terminal."""

import datetime
import functools
import itertools
import math
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TextIO

import numpy as np
import pyarrow as pa

from pipelines.terminal.comma_separated import flat_text
from pipelines.terminal.standard_output import json_text
from pipelines.terminal.tables.layout import ON_COMMAND_LINE, Hints, table_lines, whole_lines
from pipelines.terminal.visible import printable
from transforms.formats.dates import python_values
from transforms.formats.quantities import quantity

Convert = Callable[[Any], Any]


def unique_names(names: Sequence[str]) -> list[str]:
    """Makes column names unique, because a JSON object cannot have two equal names.

    >>> unique_names(["tag", "n", "tag"])
    ['tag', 'n', 'tag_1']
    """
    unique: list[str] = []
    for name in names:
        candidate, number = name, 0
        while candidate in unique:
            number += 1
            candidate = f"{name}_{number}"
        unique.append(candidate)
    return unique


def plain(type_: pa.DataType) -> Convert:
    """Returns the function that converts a Python value of an Arrow type for JSON; NaN and infinity become null."""
    if pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_):
        inner = plain(type_.value_type)
        return _unless_null(lambda values: [inner(value) for value in values])
    if pa.types.is_struct(type_):
        fields = {field.name: plain(field.type) for field in type_}
        return _unless_null(lambda value: {name: convert(value[name]) for name, convert in fields.items()})
    if pa.types.is_map(type_):
        item = plain(type_.item_type)
        return _unless_null(lambda pairs: {str(key): item(value) for key, value in pairs})
    if pa.types.is_float32(type_):
        # Convert by way of the shortest float32 text: a float32 of 0.1 is 0.10000000149 as float64.
        return _unless_null(lambda value: float(str(np.float32(value))) if math.isfinite(value) else None)
    return _unless_null(_scalar)


@functools.lru_cache(maxsize=256)
def _plain(type_: pa.DataType) -> Convert:
    return plain(type_)


def plain_value(value: object, type_: pa.DataType) -> Any:
    """A Python value of an Arrow type as JSON can represent it, see `plain`."""
    return _plain(type_)(value)


def _unless_null(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _scalar(value: object) -> str | float | bool | None:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, pa.MonthDayNano):
        return f"P{value.months}M{value.days}DT{value.nanoseconds / 1e9:g}S"
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, str | int | bool) else str(value)


def plain_rows(reader: Iterable[pa.RecordBatch], schema: pa.Schema, *, keep_dates: bool = False) -> Iterator[list[Any]]:
    """Yields rows of values that JSON can represent, batch by batch; dates of a column as they are, if asked for."""
    converts = [_same if keep_dates and _is_date(field.type) else plain(field.type) for field in schema]
    for batch in reader:
        columns = [python_values(_microseconds(column)) for column in batch.columns]
        for row in zip(*columns, strict=True):
            yield [convert(value) for convert, value in zip(converts, row, strict=True)]


def _is_date(type_: pa.DataType) -> bool:
    return bool(pa.types.is_date(type_) or pa.types.is_timestamp(type_))


def _same(value: Any) -> Any:
    return value


def _microseconds(column: pa.Array) -> pa.Array:
    """Converts timestamps in nanoseconds to microseconds, because nanoseconds would need pandas."""
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column


def write_json(out: TextIO, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes an array of objects, one row per line."""
    separator = "[\n"
    for row in rows:
        record = dict(zip(names, row, strict=True))
        out.write(separator + json_text(out, record))
        separator = ",\n"
    out.write("[]\n" if separator == "[\n" else "\n]\n")


def _cell(value: object) -> str:
    """A value as one line: null is `-`, and a list of structs looks like `mood/calm 0.93, mood/dark 0.51`."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(_cell(entry) for entry in value)
    if isinstance(value, dict):
        return " ".join(_cell(entry) for entry in value.values())
    return printable(" ".join(flat_text(value).split()))


def write_table(
    out: TextIO,
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    hints: Hints = ON_COMMAND_LINE,
) -> int:
    """Writes a table: on a terminal one that fits, see `tables.layout`, with at most `TERMINAL_ROWS` rows.

    Elsewhere every row and cell is written whole, while the rows are read. The last line has the number of rows.

    Args:
      out: where to write.
      names: names of the columns.
      rows: one value per column.
      hints: how to see what does not fit.

    Returns:
      How many rows were left out.
    """
    if not out.isatty():
        count = -2  # header and rule come first
        for line in _whole_lines(names, rows):
            out.write(line + "\n")
            count += 1
        out.write(f"({quantity(count, 'row')})\n")
        return 0
    shown: list[Sequence[Any]] = []
    left_out = 0
    for row in rows:
        if len(shown) < TERMINAL_ROWS:
            shown.append(row)
        else:
            left_out += 1
    _print_in_colour(out, value_lines(names, shown, shutil.get_terminal_size().columns, hints))
    total = quantity(len(shown) + left_out, "row")
    out.write(f"({len(shown)} of {total})\n" if left_out else f"({total})\n")
    return left_out


TERMINAL_ROWS = 40
"""Most rows of a table on a terminal."""

_FIRST_ROWS = 1000
"""Rows that decide how wide the columns of a table are that is written while it is read."""


def _whole_lines(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    rest = iter(rows)
    first = list(itertools.islice(rest, _FIRST_ROWS))
    cells = [[_cell(value) for value in row] for row in first]
    later = ([_cell(value) for value in row] for row in rest)
    return whole_lines([_cell(name) for name in names], cells, _numeric(names, first), later)


def value_lines(
    names: Sequence[str], rows: Sequence[Sequence[Any]], width: int, hints: Hints = ON_COMMAND_LINE
) -> Iterator[str]:
    """Yields the lines of a table of values, see `table_lines`."""
    cells = [[_cell(value) for value in row] for row in rows]
    return table_lines([_cell(name) for name in names], cells, _numeric(names, rows), width, hints)


def _numeric(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[bool]:
    return [_is_numeric([row[i] for row in rows]) for i in range(len(names))]


def _is_numeric(values: Iterable[object]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)


def _print_in_colour(out: TextIO, lines: Iterator[str]) -> None:
    """Writes the table for a terminal: the same lines, the header in bold."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, width=_NO_WRAP, highlight=False)
    style = "bold"
    for line in lines:
        is_rule = style == "bold" and set(line) <= {"-", " "}
        console.print(Text(line, style="dim" if is_rule else style), soft_wrap=True)
        style = "" if is_rule else style


_NO_WRAP = 1_000_000


def table_text(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table with all rows, which fits the terminal if stdout is one, and with their number."""
    if sys.stdout is not None and sys.stdout.isatty():
        lines = value_lines(names, rows, shutil.get_terminal_size().columns)
    else:
        lines = _whole_lines(names, rows)
    return "\n".join([*lines, f"({quantity(len(rows), 'row')})"])
