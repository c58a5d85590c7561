"""Dates and timestamps as text, also outside of Python's calendar, which ends at the years 1 and 9999."""

import re
from typing import Any

import numpy as np
import pyarrow as pa

_ENDS = {
    pa.date32(): (np.iinfo(np.int32).min + 1, np.iinfo(np.int32).max),
    pa.timestamp("us"): (np.iinfo(np.int64).min + 1, np.iinfo(np.int64).max),
}
"""Values by which DuckDB stores -infinity and infinity."""


def date_texts(values: pa.Array) -> pa.Array:
    """Dates or timestamps as ISO 8601 text; years before 1 as DuckDB prints them, such as `0030-05-01 (BC)`."""
    kind = pa.date32() if pa.types.is_date(values.type) else pa.timestamp("us")
    plain = (
        values.cast(pa.timestamp("us", values.type.tz), safe=False) if pa.types.is_timestamp(values.type) else values
    )
    width = pa.int32() if kind == pa.date32() else pa.int64()
    counts = (plain.cast(kind) if pa.types.is_date(plain.type) else plain).view(width)
    unit = "D" if kind == pa.date32() else "us"
    texts = [None if count is None else _text(count, unit, _ENDS[kind]) for count in counts.to_pylist()]
    return pa.array(texts, pa.string())


def _text(count: int, unit: str, ends: tuple[int, int]) -> str:
    if count in ends:
        return "infinity" if count > 0 else "-infinity"
    text = str(np.array(count).astype(f"datetime64[{unit}]"))
    year, rest = re.split(r"(?<=\d)(?=-)", text.removesuffix(".000000"), maxsplit=1)
    return f"{int(year):04d}{rest}" if int(year) > 0 else f"{1 - int(year):04d}{rest} (BC)"


def python_values(column: pa.Array) -> list[Any]:
    """`to_pylist`, with text for each date or timestamp that Python's calendar lacks, nested ones too."""
    try:
        found: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        raise
    except (ValueError, OverflowError):
        return [_python_value(value) for value in column]
    return found


def _python_value(value: pa.Scalar) -> Any:
    if not value.is_valid:
        return None
    if isinstance(value, pa.MapScalar):
        return [
            (_python_value(key), _python_value(item)) for key, item in zip(value.keys(), value.values(), strict=True)
        ]
    if isinstance(value, pa.StructScalar):
        return {name: _python_value(value[name]) for name in value}
    if isinstance(value, pa.ListScalar):
        return [_python_value(item) for item in value.values]
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        return date_texts(pa.array([value]))[0].as_py()


def beyond_calendar(count: int, kind: pa.DataType) -> bool:
    """Whether a date or timestamp, given as the number that Arrow stores, is outside of Python's calendar."""
    width = pa.int32() if pa.types.is_date32(kind) else pa.int64()
    return isinstance(python_values(pa.array([count], width).view(kind))[0], str)
