"""Filters of tracks as conditions with parameters. No value of a request becomes a part of an SQL text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipelines.serving.paging import identifier, number_columns
from pipelines.serving.problems import Declined
from pipelines.serving.snapshots import LISTED_VALUES

Conditions = list[tuple[str, list[Any]]]
"""Conditions that all hold, each with its parameters."""


def joined_conditions(conditions: Conditions) -> tuple[str, list[Any]]:
    """All conditions as one, with the parameters of all."""
    clause = " AND ".join(one for one, _ in conditions) or "true"
    return clause, [value for _, values in conditions for value in values]


def equal_conditions(values: Mapping[str, Any]) -> Conditions:
    """Columns that have a value; None: any."""
    return [(f"{identifier(name)} = ?", [value]) for name, value in values.items() if value is not None]


def listed_condition(column: str, values: pa.ChunkedArray) -> tuple[str, list[Any]]:
    """A column has one of many values. Only one condition of a query can be such a list, see `OpenSnapshot.fetch`."""
    return (f"{identifier(column)} IN (FROM {LISTED_VALUES})", [values]) if len(values) else ("false", [])


def listed_values(conditions: Conditions) -> pa.ChunkedArray | None:
    """The values of a list that is the only condition; None if there is none, or another one too."""
    values = [value for _, own in conditions for value in own]
    is_list = len(conditions) == len(values) == 1 and isinstance(values[0], pa.ChunkedArray)
    return values[0] if is_list else None


def range_conditions(ranges: Sequence[str], columns: Mapping[str, pa.DataType]) -> Conditions:
    """Ranges such as `year:1990..1999`, `bpm:..100`: both ends are within.

    Raises:
      Problem: one has another form, or names no column with numbers.
    """
    numbers, found = number_columns(columns), Conditions()
    for text in ranges:
        name, _, span = text.partition(":")
        if name not in numbers:
            raise Declined("bad-request", f"range: {text!r} begins with none of {', '.join(numbers)}")
        low, dots, high = span.partition("..")
        if not dots or not (low or high):
            raise Declined(
                "bad-request", f"range: {text!r} is not like {name}:LOW..HIGH, {name}:LOW.. or {name}:..HIGH"
            )
        column = f"CAST({identifier(name)} AS DOUBLE)"
        least = _number(low, text) if low else -math.inf
        most = _number(high, text) if high else math.inf
        if least > most:
            raise Declined("bad-request", f"range: {low} is greater than {high} in {text!r}: swap them")
        found += [(f"{column} >= ?", [least])] if low else []
        found += [(f"{column} <= ?", [most])] if high else []
    return found


def _number(value: str, text: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Declined("bad-request", f"range: {value!r} in {text!r} is no number")
    return number


def tag_conditions(tags: Sequence[str], without: Sequence[str], ids: Mapping[str, list[str]]) -> Conditions:
    """Tags that the tracks have, and have not.

    Args:
      tags: `mood/calm`: the tag is positive; `mood/calm:0.8`: its score is 0.8 or more.
      without: tags that are not positive.
      ids: each id, also an earlier one, -> the tags that have it. A tag that was split is found by any of its parts.

    Raises:
      Problem: there is no such tag, or no such score.
    """
    found = Conditions()
    for text in tags:
        name, separator, least = text.rpartition(":")
        if separator:
            score, own = _score(least, text), tags_of(name, ids)
            marks = ", ".join("?" * len(own))
            inner = f"SELECT track_id FROM track_tags WHERE tag IN ({marks}) AND score >= CAST(? AS FLOAT)"
            found.append((f"track_id IN ({inner})", [*own, score]))
        else:
            found.append((f"list_has_any({_POSITIVE}, ?)", [tags_of(text, ids)]))
    found += [(f"NOT list_has_any({_POSITIVE}, ?)", [tags_of(name, ids)]) for name in without]
    return found


_POSITIVE = "list_transform(top_tags, lambda one: one.tag)"


def tags_of(name: str, ids: Mapping[str, list[str]]) -> list[str]:
    """The tags that have an id.

    Raises:
      Problem: there is none.
    """
    if name not in ids:
        raise Declined("bad-request", f"tag: {name!r} is not in the taxonomy: /v1/taxonomy has all tags")
    return ids[name]


def _score(value: str, text: str) -> float:
    try:
        score = float(value)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        raise Declined("bad-request", f"tag: {value!r} in {text!r} is no score from 0 to 1")
    return score
