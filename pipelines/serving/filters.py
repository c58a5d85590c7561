"""Filters of tracks as conditions with parameters. No value of a request becomes a part of an SQL text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from pipelines.serving.finding.chosen import TrackMasks
from pipelines.serving.paging import identifier, number_columns
from pipelines.serving.problems import Declined
from pipelines.serving.snapshots import LISTED_VALUES

Conditions = list[tuple[str, list[Any]]]
"""Conditions that all hold, each with its parameters."""


def joined_conditions(conditions: Conditions) -> tuple[str, list[Any]]:
    """All conditions as one, with the parameters of all."""
    clause = " AND ".join(one for one, _ in conditions) or "true"
    values = [value for _, own in conditions for value in own]
    return clause, [value.ids if isinstance(value, TrackMasks) else value for value in values]


def equal_conditions(values: Mapping[str, Any]) -> Conditions:
    """Columns that have a value; None: any."""
    return [(f"{identifier(name)} = ?", [value]) for name, value in values.items() if value is not None]


def listed_condition(column: str, values: pa.ChunkedArray | TrackMasks) -> tuple[str, list[Any]]:
    """A column has one of many values. Only one condition of a query can be such a list, see `OpenSnapshot.fetch`."""
    return (f"{identifier(column)} IN (FROM {LISTED_VALUES})", [values]) if len(values) else ("false", [])


def chosen_condition(tracks: TrackMasks) -> tuple[str, list[Any]]:
    """The track is one of these."""
    return listed_condition("track_id", tracks)


def only_chosen(conditions: Conditions) -> TrackMasks | None:
    """The tracks of a condition on tracks that is the only one; None if there is none, or another one too."""
    values = [value for _, own in conditions for value in own]
    is_only = len(conditions) == len(values) == 1 and isinstance(values[0], TrackMasks)
    return values[0] if is_only else None


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


class TagWish(NamedTuple):
    """A tag that tracks must have, or must not have.

    Attributes:
      tags: any of them is enough: the tag with its narrower tags.
      least: a track has a tag if its published score is this or more; None: if the tag is positive.
      wanted: whether tracks must have it.
    """

    tags: list[str]
    least: float | None
    wanted: bool


def tag_wishes(
    tags: Sequence[str], without: Sequence[str], least: float | None, ids: Mapping[str, list[str]]
) -> list[TagWish]:
    """What texts such as `mood/calm` and `mood/calm:0.8` ask for, as tags to have and not to have.

    Args:
      tags: a tag with or without a score.
      without: likewise, of tags that tracks must not have.
      least: score of the tags that are given without one.
      ids: each id, also an earlier one, -> the tags that have it, with their narrower tags.

    Raises:
      Problem: there is no such tag, or no such score.
    """
    return [_wish(text, least, ids, wanted) for own, wanted in ((tags, True), (without, False)) for text in own]


def _wish(text: str, least: float | None, ids: Mapping[str, list[str]], wanted: bool) -> TagWish:
    name, separator, score = text.rpartition(":")
    if text in ids or not separator:
        return TagWish(tags_of(text, ids), least, wanted)
    return TagWish(tags_of(name, ids), _score(score, text), wanted)


def wish_condition(wish: TagWish) -> tuple[str, list[Any]]:
    """The condition of a wish in SQL."""
    word = "" if wish.wanted else "NOT "
    if wish.least is None:
        return f"{word}list_has_any({_POSITIVE}, ?)", [wish.tags]
    marks = ", ".join("?" * len(wish.tags))
    inner = f"SELECT track_id FROM track_tags WHERE tag IN ({marks}) AND score >= CAST(? AS FLOAT)"
    return f"track_id {word}IN ({inner})", [*wish.tags, wish.least]


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
