"""The objects of JSON Lines: one per line, and the columns that all of them have together."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from transforms.catalog import limits
from transforms.formats.documents import parse_json
from transforms.taxonomy.tag_ids import shown


def json_object(text: str) -> Any:
    """The line's object, or the error as a value."""
    if len(text) > limits.ROW_BYTES:
        return ValueError(limits.row_size(len(text)))
    try:
        value = parse_json(text, nan_is_null=True)
    except ValueError as e:
        return ValueError(f"not a JSON object ({e}): write one object per line")
    if not isinstance(value, dict):
        return ValueError(f"{shown(text.strip()[:60])} is not a JSON object: write one object per line")
    return value


def json_columns(objects: Iterable[tuple[int, Any]]) -> dict[str, pa.DataType]:
    """All keys of all (line, object), each with the type that fits its values, or text if no single type fits.

    Raises:
      ValueError: there are too many keys.
    """
    kinds: dict[str, set[type]] = {}
    for line, value in objects:
        for key, item in value.items() if isinstance(value, dict) else ():
            kinds.setdefault(key, set()).add(_kind(item))
        if len(kinds) > limits.MOST_COLUMNS:
            raise ValueError(f"more than {limits.MOST_COLUMNS} keys up to line {line}: remove some")
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
