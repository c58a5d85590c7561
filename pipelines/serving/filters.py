"""Filters of tracks as conditions with parameters. No value of a request becomes a part of an SQL text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipelines.serving.paging import identifier, number_columns
from pipelines.serving.problems import Declined

Conditions = list[tuple[str, list[Any]]]
"""Conditions that all hold, each with its parameters."""

MOST_WORDS = 8
TEXT_COLUMNS = ("title", "artist")
"""Columns of `tracks` that a text is looked for in."""


def joined_conditions(conditions: Conditions) -> tuple[str, list[Any]]:
    """All conditions as one, with the parameters of all."""
    clause = " AND ".join(one for one, _ in conditions) or "true"
    return clause, [value for _, values in conditions for value in values]


def equal_conditions(values: Mapping[str, Any]) -> Conditions:
    """Columns that have a value; None: any."""
    return [(f"{identifier(name)} = ?", [value]) for name, value in values.items() if value is not None]


def text_conditions(text: str | None, columns: Sequence[str] = TEXT_COLUMNS) -> Conditions:
    """Each word of a text is somewhere in the columns, whatever its case and accents.

    Raises:
      Problem: there are too many words.
    """
    words = (text or "").split()
    if len(words) > MOST_WORDS:
        raise Declined("bad-request", f"q: {len(words)} words: give at most {MOST_WORDS}")
    names = ", ".join(map(identifier, columns))
    where = f"contains(strip_accents(lower(concat_ws(' ', {names}))), strip_accents(lower(?)))"
    return [(where, [word]) for word in words]


def range_conditions(ranges: Sequence[str], columns: Mapping[str, pa.DataType]) -> Conditions:
    """Ranges such as `year:1990..1999`, `bpm:..100`: both ends are within.

    Raises:
      Problem: one has another form, or names no column with numbers.
    """
    numbers, found = number_columns(columns), Conditions()
    for text in ranges:
        name, _, ends = text.partition(":")
        if name not in numbers:
            raise Declined("bad-request", f"range: {text!r} begins with none of {', '.join(numbers)}")
        low, dots, high = ends.partition("..")
        if not dots or not (low or high):
            raise Declined(
                "bad-request", f"range: {text!r} is not like {name}:LOW..HIGH, {name}:LOW.. or {name}:..HIGH"
            )
        column = f"CAST({identifier(name)} AS DOUBLE)"
        found += [(f"{column} >= ?", [_number(low, text)])] if low else []
        found += [(f"{column} <= ?", [_number(high, text)])] if high else []
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
