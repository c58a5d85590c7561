"""Scores of the tags that follow from rules.

For a tag with conditions on columns, the score is the probability that they are met, as far as it is known. Columns
with the same confidence c are right or wrong together:

    p = c [the values meet the conditions] + min(w, 1 - c) [the alternative meets them]

w is the belief in the alternative, for tempo half or twice the value. The rest, 1 - c - w, is the probability of values
that nobody names: it counts for no tag, so the scores of tags that exclude each other add up to at most 1. Columns
without a confidence are measurements: 1 or 0. Groups of columns with different confidences are taken as independent:
their probabilities are multiplied.

For a tag that follows from other tags, y is the highest score in `any_of` and n that in `none_of`. The score is
y / (y + n): the share of what speaks for it. Scores of a network that is not calibrated keep their meaning in such a
ratio, because a common factor cancels. Without `none_of`, it is y.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.schemas.rule_columns import RULE_COLUMNS, RuleColumn
from transforms.taxonomy.checks import parents_first
from transforms.taxonomy.rules import RULE_THRESHOLD, RuleCategory, RuleCondition, RuleConditions, RuleTag

_Floats = npt.NDArray[np.float64]
_Masks = npt.NDArray[np.bool_]


class DerivedTags(NamedTuple):
    """The tags of rules for some tracks.

    Attributes:
      tags: the tags, category by category.
      scores: float64 [tracks, tags], multiples of 0.0001; 0 if the track has no row of the tag.
      known: bool [tracks, tags]: whether the track has a row of the tag.
      ranks: int16 [tracks, tags]: rank among the rows of the track in the tag's category, from 1; of equal scores, the
        first tag id has the better rank.
      positives: bool [tracks, tags].
    """

    tags: tuple[RuleTag, ...]
    scores: _Floats
    known: _Masks
    ranks: npt.NDArray[np.int16]
    positives: _Masks


def derived_tags(rules: Sequence[RuleCategory], columns: pa.Table, scores: Mapping[str, _Floats]) -> DerivedTags:
    """Applies rules to tracks.

    Args:
      rules: the rules.
      columns: columns of `tracks`, `RULE_SOURCES`; a column that is missing counts as null.
      scores: scores of the tags that the rules name, float64 [tracks], multiples of 0.0001.
    """
    reader = _Reader(columns)
    parts = [_of_category(category, reader, scores) for category in rules]
    empty = np.zeros((columns.num_rows, 0))
    return DerivedTags(
        tuple(tag for category in rules for tag in category.tags),
        np.hstack([empty, *(part.scores for part in parts)]),
        np.hstack([empty.astype(bool), *(part.known for part in parts)]),
        np.hstack([empty.astype(np.int16), *(part.ranks for part in parts)]),
        np.hstack([empty.astype(bool), *(part.positives for part in parts)]),
    )


def _of_category(category: RuleCategory, reader: "_Reader", scores: Mapping[str, _Floats]) -> DerivedTags:
    found = [_of_tag(category, tag, reader, scores) for tag in category.tags]
    values: _Floats = np.stack([score for score, _ in found], axis=1).round(4)
    known = np.stack([mask for _, mask in found], axis=1)
    values[~known] = 0
    _lift_parents(category.tags, values, known)
    ranks = _ranks(category.tags, np.where(known, -values, np.inf))
    positives = known & (values >= RULE_THRESHOLD)
    if category.is_exclusive:
        positives &= ranks == 1
    return DerivedTags(category.tags, values, known, ranks, positives)


def _ranks(tags: Sequence[RuleTag], lowest_first: _Floats) -> npt.NDArray[np.int16]:
    """Ranks from 1; of equal scores, the first tag id has the better rank, whatever the order of the file."""
    by_id = sorted(range(len(tags)), key=lambda place: tags[place].id)
    order = np.argsort(lowest_first[:, by_id], axis=1, kind="stable")
    ranks = np.zeros(lowest_first.shape, np.int16)
    ranks[:, by_id] = np.argsort(order, axis=1, kind="stable") + 1
    return ranks


def _lift_parents(tags: Sequence[RuleTag], values: _Floats, known: _Masks) -> None:
    """A broader tag scores at least as high as its narrower tags, and has a row where one of them has."""
    place = {tag.id: i for i, tag in enumerate(tags)}
    for child in reversed(parents_first({tag.id: tag.parents for tag in tags})):
        for parent in tags[place[child]].parents:
            above, below = place[parent], place[child]
            values[:, above] = np.maximum(values[:, above], values[:, below])
            known[:, above] |= known[:, below]


def _of_tag(
    category: RuleCategory, tag: RuleTag, reader: "_Reader", scores: Mapping[str, _Floats]
) -> tuple[_Floats, _Masks]:
    if tag.any_of:
        return _of_scores(category, tag, scores)
    score, known = reader.probability(tag.when, category.min_confidence)
    open_ = np.ones(len(score), bool)
    for case in category.cases:
        applies = open_ & (scores[case.tag] >= case.at_least)
        open_ &= ~applies
        if tag.id in case.when and applies.any():
            own, certain = reader.probability(case.when[tag.id], category.min_confidence)
            score, known = np.where(applies, own, score), np.where(applies, certain, known)
    return score, known


def _of_scores(category: RuleCategory, tag: RuleTag, scores: Mapping[str, _Floats]) -> tuple[_Floats, _Masks]:
    yes = np.max([scores[name] for name in tag.any_of], axis=0)
    if not tag.none_of:
        return yes, np.ones(len(yes), bool)
    no = np.max([scores[name] for name in tag.none_of], axis=0)
    total = yes + no
    share = np.divide(yes, total, out=np.zeros_like(yes), where=total > 0)
    return share, (total > 0) & (np.maximum(yes, no) >= category.min_confidence)


class _Reader:
    """Evaluates conditions on the columns of some tracks."""

    def __init__(self, columns: pa.Table) -> None:
        self._columns = columns

    def probability(self, conditions: RuleConditions, min_confidence: float) -> tuple[_Floats, _Masks]:
        """Probability that all conditions are met, and whether it is known: [tracks] each."""
        score, known = np.ones(self._columns.num_rows), np.ones(self._columns.num_rows, bool)
        for confidence, own in _groups(conditions):
            met, valid = self._met(own)
            known &= valid
            if confidence is None:
                score *= met
                continue
            sure = self._numbers(confidence)
            # Compared as float32, as it is stored: 0.7 is at least 0.7.
            known &= sure.astype(np.float32) >= np.float32(min_confidence)
            sure = np.nan_to_num(sure)
            score *= sure * met + self._other(own, 1 - sure)
        return np.where(known, score, 0), known

    def _other(self, conditions: RuleConditions, most: _Floats) -> _Floats:
        """Probability that the conditions are met by the alternative; 0 if one of the columns has none."""
        columns = [RULE_COLUMNS[condition.column].alternative for condition in conditions]
        found = np.ones(len(most))
        for condition, alternative in zip(conditions, columns, strict=True):
            if alternative is None:
                return np.zeros(len(most))
            value, belief = (self._numbers(name) for name in alternative)
            found *= _within(value, condition) * np.minimum(np.nan_to_num(belief), most)
        return found

    def _met(self, conditions: RuleConditions) -> tuple[_Masks, _Masks]:
        met, valid = np.ones(self._columns.num_rows, bool), np.ones(self._columns.num_rows, bool)
        for condition in conditions:
            column = RULE_COLUMNS[condition.column]
            own, known = self._text(condition, column) if column.type == "text" else self._number(condition, column)
            met, valid = met & own, valid & known
        return met, valid

    def _number(self, condition: RuleCondition, column: RuleColumn) -> tuple[_Masks, _Masks]:
        values = self._numbers(column.source)
        return _within(values, condition), ~np.isnan(values)

    def _text(self, condition: RuleCondition, column: RuleColumn) -> tuple[_Masks, _Masks]:
        values = self._column(column.source, pa.string())
        if condition.column != column.source:  # `mode` is the second word of `key`
            values = pc.replace_substring_regex(values, r"^.* ", "")
        met = pc.fill_null(pc.is_in(values, value_set=pa.array(condition.values, pa.string())), False)
        return np.asarray(met, bool), np.asarray(pc.is_valid(values), bool)

    def _numbers(self, name: str) -> _Floats:
        found: _Floats = np.asarray(self._column(name, pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        return found

    def _column(self, name: str, kind: pa.DataType) -> pa.Array:
        """A column as one array; null where the tracks have none."""
        if name not in self._columns.column_names:
            return pa.nulls(self._columns.num_rows, kind)
        column = self._columns[name].combine_chunks()
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        return column.cast(kind)


def _groups(conditions: RuleConditions) -> Iterator[tuple[str | None, RuleConditions]]:
    """RuleConditions by the confidence of their columns; those without one together."""
    names = dict.fromkeys(RULE_COLUMNS[condition.column].confidence for condition in conditions)
    for name in names:
        yield name, tuple(c for c in conditions if RULE_COLUMNS[c.column].confidence == name)


def _within(values: _Floats, condition: RuleCondition) -> _Masks:
    """Which numbers meet a condition; both are compared as float32, as they are stored."""
    stored = values.astype(np.float32)
    if condition.values:
        return np.isin(stored, np.array([float(value) for value in condition.values], np.float32))
    met = ~np.isnan(stored)
    if condition.least is not None:
        met &= stored >= np.float32(condition.least)
    if condition.below is not None:
        met &= stored < np.float32(condition.below)
    return met
