"""Checks the values of a record that was read from JSON against the types that its dataclass declares."""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

_WORDS = {int: "a whole number", float: "a finite number", str: "a text", bool: "true or false"}


def check_types(record: Any) -> None:
    """Raises TypeError, which names the field, for the first value that its dataclass does not allow.

    Whole numbers are allowed as floats. NaN and infinity are not allowed. All items of a tuple have one type.
    """
    for name, hint in _declared(record).items():
        for place, wanted, value in _wrong(name, hint, getattr(record, name)):
            raise TypeError(f"{place} is {_shown(value)} instead of {wanted}")


def _declared(record: Any) -> dict[str, Any]:
    cls: Any = type(record)
    return _hints(cls)


@functools.cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _wrong(place: str, hint: Any, value: Any) -> Iterator[tuple[str, str, Any]]:
    """Yields (place, what is wanted, value) of each value within `value` that does not fit the type."""
    kind, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):
        if not (value is None and type(None) in args):
            found = [list(_wrong(place, own, value)) for own in args if own is not type(None)]
            yield from [] if [] in found else found[0]
    elif kind in _WORDS:
        if not _fits(kind, value):
            yield place, _WORDS[kind], value
    elif kind in (tuple, list):
        yield from _wrong_items(place, args[0], value)
    elif kind in (dict, Mapping):
        yield from _wrong_values(place, args[1], value)
    elif dataclasses.is_dataclass(value):
        for name, own in _declared(value).items():
            yield from _wrong(f"{place}.{name}", own, getattr(value, name))


def _wrong_items(place: str, hint: Any, value: Any) -> Iterator[tuple[str, str, Any]]:
    if not isinstance(value, tuple | list):
        yield place, "a list", value
        return
    for number, item in enumerate(value):
        yield from _wrong(f"{place}[{number}]", hint, item)


def _wrong_values(place: str, hint: Any, value: Any) -> Iterator[tuple[str, str, Any]]:
    if not isinstance(value, Mapping):
        yield place, "an object", value
        return
    for key, item in value.items():
        yield from _wrong(f"{place}.{str(key)[:60]}", hint, item)


def _fits(kind: type, value: Any) -> bool:
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return (isinstance(value, int) and abs(value) < 2**1023) or (isinstance(value, float) and math.isfinite(value))
    return isinstance(value, kind)


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
