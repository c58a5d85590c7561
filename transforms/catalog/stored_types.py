"""How further columns of a catalog are stored in `tracks`: names and types that all promised readers accept.

The readers are DuckDB, Spark 3.5, BigQuery (external Parquet tables), pandas and polars. A type that one of them
refuses is replaced by a type that holds the same values: timestamps become microseconds, unsigned integers become
signed ones, float16 becomes float32, durations become seconds. Times of day, wide decimals and all others become text.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.formats.dates import beyond_calendar, date_texts, python_values
from transforms.formats.parquet_structure import ColumnChunk

_LONGEST_NAME = 300
_REFUSED = re.compile(r'[\x00-\x1f\x7f!"$()*,./;?@\[\\\]^`{}~]')
"""Characters that BigQuery refuses in names of columns."""

_NUMERIC = {"precision": 38, "scale": 9, "whole": 29}
"""BigQuery's NUMERIC: digits in all, after the point, and before it."""

_UNSIGNED = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
}
_DURATION_UNITS = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}


def stored_name(name: str) -> str:
    """The name under which `tracks` stores a further column.

    >>> stored_name("BPM (detected)")
    'BPM _detected_'
    """
    return _REFUSED.sub("_", name)[:_LONGEST_NAME]


def stored_type(kind: pa.DataType) -> pa.DataType:
    """The type under which `tracks` stores a further column of this type; a column of nulls keeps its type."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.string() if isinstance(kind, pa.UuidType) else stored_type(kind.storage_type)
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return stored_type(kind.value_type)
    if _is_list(kind):
        return pa.list_(_nested(kind.value_type))
    if pa.types.is_struct(kind):
        plain = kind.num_fields and all(field.name == stored_name(field.name) != "" for field in kind)
        fields = [pa.field(field.name, _nested(field.type)) for field in kind]
        distinct = len({field.name.lower() for field in kind}) == kind.num_fields
        return pa.struct(fields) if plain and distinct else pa.string()
    if pa.types.is_map(kind):
        key = stored_type(kind.key_type)
        text_key = pa.types.is_string(key) or pa.types.is_integer(key)
        return pa.map_(key, _nested(kind.item_type)) if text_key else pa.string()
    return _stored_scalar(kind)


def _is_list(kind: pa.DataType) -> bool:
    checks = ("list", "large_list", "list_view", "large_list_view", "fixed_size_list")
    return any(getattr(pa.types, f"is_{name}")(kind) for name in checks)


def _nested(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_null(kind) else stored_type(kind)


def _stored_scalar(kind: pa.DataType) -> pa.DataType:
    if kind in _UNSIGNED:
        return _UNSIGNED[kind]
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_date(kind):
        return pa.date32()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if pa.types.is_duration(kind):
        return pa.float64()
    if pa.types.is_decimal(kind):
        return _stored_decimal(kind)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    kept = (pa.types.is_boolean, pa.types.is_signed_integer, pa.types.is_floating, pa.types.is_null)
    return kind if any(check(kind) for check in kept) else pa.string()


def _stored_decimal(kind: pa.DataType) -> pa.DataType:
    fits = 0 <= kind.scale <= _NUMERIC["scale"] and kind.precision - kind.scale <= _NUMERIC["whole"]
    return (
        pa.decimal128(kind.precision, kind.scale) if fits and kind.precision <= _NUMERIC["precision"] else pa.string()
    )


def stored_values(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values of a Parquet column in its stored type. In a column of floats, NaN becomes null.

    Raises:
      pa.ArrowInvalid: a value does not fit.
    """
    values = _decoded(values)
    found = _converted(values, kind)
    if pa.types.is_floating(found.type):
        found = pc.if_else(pc.is_nan(found), pa.scalar(None, found.type), found)
    _check_dates(found)
    return found


def _decoded(values: pa.Array) -> pa.Array:
    """The values without dictionary, run-end encoding or extension type."""
    if isinstance(values.type, pa.BaseExtensionType) and not isinstance(values.type, pa.UuidType):
        return _decoded(values.storage)
    if pa.types.is_run_end_encoded(values.type):
        return _decoded(pc.run_end_decode(values))
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _converted(values: pa.Array, kind: pa.DataType) -> pa.Array:
    given = values.type
    if pa.types.is_duration(given) and pa.types.is_floating(kind):
        return pc.divide(values.cast(pa.int64()).cast(pa.float64(), safe=False), _DURATION_UNITS[given.unit])
    if pa.types.is_string(kind) and (pa.types.is_date(given) or pa.types.is_timestamp(given)):
        return date_texts(values)
    if isinstance(given, pa.UuidType):  # Arrow would return its bytes as text
        return pa.array([_by_value(value, kind) for value in values.to_pylist()], kind)
    finer = pa.types.is_timestamp(given) and given.unit == "ns"
    try:
        return values.cast(kind, safe=not finer)
    except pa.ArrowNotImplementedError:
        return pa.array([_by_value(value, kind) for value in python_values(values)], kind)


def _by_value(value: Any, kind: pa.DataType) -> Any:
    """A value that Arrow cannot convert: as it is, or in a text column as text, nested values as JSON."""
    if value is None or not pa.types.is_string(kind):
        return value
    nested = isinstance(value, list | tuple | dict)
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str) if nested else str(value)


def _check_dates(values: pa.Array) -> None:
    """Refuses dates outside of Python's calendar, which the file's statistics did not tell: pandas cannot read them."""
    if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        width = pa.int32() if pa.types.is_date(values.type) else pa.int64()
        ends = pc.min_max(values.view(width)).as_py()
        if any(end is not None and beyond_calendar(end, values.type) for end in ends.values()):
            raise pa.ArrowInvalid("a year is not between 1 and 9999: write the column as text")


def far_columns(schema: pq.ParquetSchema, groups: Iterable[Sequence[ColumnChunk]]) -> frozenset[str]:
    """Columns with a date or timestamp outside of Python's calendar, according to the file's statistics."""
    kinds = {place: kind for place in range(len(schema)) if (kind := _calendar_type(schema.column(place))) is not None}
    return frozenset(
        schema.column(place).path.split(".")[0]
        for group in groups
        if kinds
        for place, kind in kinds.items()
        if any(beyond_calendar(end, kind) for end in group[place].ends or ())
    )


def _calendar_type(column: pq.ColumnSchema) -> pa.DataType | None:
    logical = json.loads(column.logical_type.to_json())
    if logical["Type"] == "Date":
        return pa.date32()
    units = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}
    return pa.timestamp(units[logical["timeUnit"]]) if logical["Type"] == "Timestamp" else None
