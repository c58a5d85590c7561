"""Rules: tags that follow from what was measured, or from the scores of other tags.

rules:
  - name: tempo
    kind: multiclass                                    # at most one applies: ranges do not overlap
    min_confidence: 0.5
    tags:
      - {id: tempo/slow, when: {tempo_bpm: {below: 90}}}
      - {id: tempo/fast, when: {tempo_bpm: {from: 90}}}
    cases:                                              # other ranges for tracks with a tag
      - tag: genre/drum_and_bass
        at_least: 0.5
        when: {tempo/slow: {tempo_bpm: {below: 160}}, tempo/fast: {tempo_bpm: {from: 160}}}
  - name: vocals
    kind: binary
    min_confidence: 0.1
    tags:
      - {id: vocals/present, any_of: [voice/vocal, voice/singing], none_of: [voice/no_vocals]}
"""

import dataclasses
import functools
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from transforms.taxonomy.categories import Category, Tag
from transforms.taxonomy.tag_ids import tag_id

RULE = "rule"
"""Value of `track_tags.source` of a tag that follows from a rule."""

RULE_THRESHOLD = 0.5
"""Score from which on a tag of a rule is positive."""

MIN_CONFIDENCE = 0.5
"""Default of `min_confidence`."""

RuleValue = str | float | bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuleCondition:
    """What a column must be.

    Attributes:
      column: a name of `RULE_COLUMNS`.
      least: smallest number; None: no limit.
      below: the number is smaller than this; None: no limit.
      values: the value is one of these; empty: the limits say it.
    """

    column: str
    least: float | None = None
    below: float | None = None
    values: tuple[RuleValue, ...] = ()

    @property
    def written(self) -> Any:
        """The condition as it is written in a file: a list of values, or a mapping of limits."""
        if self.values:
            return list(self.values)
        limits = {"from": self.least, "below": self.below}
        return {name: limit for name, limit in limits.items() if limit is not None}

    @property
    def text(self) -> str:
        """The condition for people.

        >>> RuleCondition(column="tempo_bpm", least=90.0, below=120.0).text
        'tempo_bpm from 90 below 120'
        """
        if self.values:
            return f"{self.column} {' or '.join(map(str, self.values))}"
        return " ".join([self.column, *(f"{name} {limit:g}" for name, limit in self.written.items())])


RuleConditions = tuple[RuleCondition, ...]
"""Conditions that must all be met."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuleTag(Tag):
    """A tag with a rule: either `when`, or `any_of` and perhaps `none_of`, which are tags with scores.

    Attributes:
      when: what was measured, if no case applies.
    """

    when: RuleConditions = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuleCase:
    """Other conditions for tracks that have a tag.

    Attributes:
      tag: a tag of the model.
      at_least: score from which on a track has it.
      when: tag of the category -> its conditions. The others keep theirs.
    """

    tag: str
    at_least: float
    when: Mapping[str, RuleConditions]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RuleCategory(Category):
    """A family of tags that follow from rules.

    Attributes:
      name: first part of its tags' ids.
      kind: `multiclass` and `binary`: at most one of the tags applies; `multilabel`: any number.
      tags: its tags.
      cases: of several that a track meets, the first one counts.
      min_confidence: smallest confidence of what was measured, and smallest score among the tags that a rule names. A
        track with less has no row of the tag.
    """

    tags: tuple[RuleTag, ...]
    cases: tuple[RuleCase, ...] = ()
    min_confidence: float = MIN_CONFIDENCE

    @property
    def is_exclusive(self) -> bool:
        """Whether at most one of the tags applies."""
        return self.kind != "multilabel"

    @functools.cached_property
    def variants(self) -> tuple[tuple[str, Mapping[str, RuleConditions]], ...]:
        """The conditions of all tags: without a case, and in each case; with a text that says which."""
        own = {tag.id: tag.when for tag in self.tags}
        return (("", own), *((f" for {case.tag}", {**own, **case.when}) for case in self.cases))

    @property
    def named_tags(self) -> tuple[str, ...]:
        """The tags whose scores its rules need."""
        names = [name for tag in self.tags for name in (*tag.any_of, *tag.none_of)]
        return tuple(dict.fromkeys([*(case.tag for case in self.cases), *names]))

    def rule_of(self, tag: RuleTag) -> dict[str, Any]:
        """Everything that decides a tag, as a JSON object."""
        cases = [
            {"tag": case.tag, "at_least": case.at_least, "when": _conditions_to_json(case.when[tag.id])}
            if tag.id in case.when
            else {"tag": case.tag, "at_least": case.at_least}
            for case in self.cases
        ]
        return {**_rule_to_json(tag), "min_confidence": self.min_confidence, **({"cases": cases} if cases else {})}

    def rule_text(self, tag: RuleTag) -> str:
        """The rule as the text in the column `rule` of the table `taxonomy`."""
        return json.dumps(self.rule_of(tag), sort_keys=True, ensure_ascii=False)


def rules_to_json(rules: Iterable[RuleCategory]) -> list[dict[str, Any]]:
    """The section `rules` of a file."""
    return [_category_to_json(category) for category in rules]


def _category_to_json(category: RuleCategory) -> dict[str, Any]:
    cases = [
        {
            "tag": case.tag,
            "at_least": case.at_least,
            "when": {tag: _conditions_to_json(when) for tag, when in case.when.items()},
        }
        for case in category.cases
    ]
    return {
        "name": category.name,
        "kind": category.kind,
        "min_confidence": category.min_confidence,
        "tags": [{"id": tag.id, "name": tag.name, **_rule_to_json(tag)} for tag in category.tags],
        **({"cases": cases} if cases else {}),
    }


def _rule_to_json(tag: RuleTag) -> dict[str, Any]:
    lists = {name: list(getattr(tag, name)) for name in ("parents", "any_of", "none_of") if getattr(tag, name)}
    return {**lists, **({"when": _conditions_to_json(tag.when)} if tag.when else {})}


def _conditions_to_json(conditions: RuleConditions) -> dict[str, Any]:
    return {condition.column: condition.written for condition in conditions}


def rules_from_json(obj: Sequence[Mapping[str, Any]], readable: Any) -> tuple[RuleCategory, ...]:
    """The rules of a section without faults in its structure.

    Args:
      obj: the section.
      readable: returns the name of a tag for which the section gives none.
    """
    return tuple(_category(category, readable) for category in obj)


def _category(obj: Mapping[str, Any], readable: Any) -> RuleCategory:
    return RuleCategory(
        name=obj["name"],
        kind=obj["kind"],
        tags=tuple(_tag(tag, readable) for tag in obj["tags"]),
        cases=tuple(_case(case) for case in obj.get("cases") or ()),
        min_confidence=float(obj.get("min_confidence", MIN_CONFIDENCE)),
    )


def _tag(obj: Mapping[str, Any], readable: Any) -> RuleTag:
    lists = {name: tuple(tag_id(t) for t in obj.get(name) or ()) for name in ("parents", "any_of", "none_of")}
    when = _conditions(obj.get("when") or {})
    return RuleTag(id=obj["id"], name=obj.get("name") or readable(obj["id"]), when=when, **lists)


def _case(obj: Mapping[str, Any]) -> RuleCase:
    when = {tag_id(tag): _conditions(conditions) for tag, conditions in obj["when"].items()}
    return RuleCase(tag=tag_id(obj["tag"]), at_least=float(obj["at_least"]), when=when)


def _conditions(obj: Mapping[str, Any]) -> RuleConditions:
    return tuple(_condition(column, value) for column, value in obj.items())


def _condition(column: str, value: Any) -> RuleCondition:
    if isinstance(value, Mapping):
        least, below = (None if value.get(name) is None else float(value[name]) for name in ("from", "below"))
        return RuleCondition(column=column, least=least, below=below)
    listed = value if isinstance(value, list) else [value]
    return RuleCondition(column=column, values=tuple(_value(one) for one in listed))


def _value(value: RuleValue) -> RuleValue:
    return value if isinstance(value, bool | str) else float(value)


def rules_of_rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The section `rules` from those rows of the table `taxonomy` that have a rule."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        rule = json.loads(row["rule"])
        cases = rule.pop("cases", [])
        least = rule.pop("min_confidence")
        category = found.setdefault(
            row["category"],
            {
                "name": row["category"],
                "kind": row["kind"],
                "min_confidence": least,
                "tags": [],
                "cases": [{**case, "when": {}} for case in cases],
            },
        )
        category["tags"].append({"id": row["tag"], "name": row["name"], **rule})
        for case, own in zip(category["cases"], cases, strict=True):
            case["when"] |= {row["tag"]: own["when"]} if "when" in own else {}
    return list(found.values())


def kept_rules(rules: Iterable[RuleCategory], tags: Collection[str]) -> tuple[RuleCategory, ...]:
    """The rules as far as they need no other tags of the model than these.

    A case for another tag is left out, and so is the name of one. A tag of which nothing is left is, too, and with it a
    category that has too few.
    """
    kept = []
    for category in rules:
        own = tuple(one for tag in category.tags if (one := _kept_tag(tag, tags)) is not None)
        ids = {tag.id for tag in own}
        own = tuple(dataclasses.replace(tag, parents=tuple(p for p in tag.parents if p in ids)) for tag in own)
        cases = tuple(
            dataclasses.replace(case, when={tag: when for tag, when in case.when.items() if tag in ids})
            for case in category.cases
            if case.tag in tags and ids & case.when.keys()
        )
        if len(own) >= (2 if category.kind == "multiclass" else 1):
            kept.append(dataclasses.replace(category, tags=own, cases=cases))
    return tuple(kept)


def _kept_tag(tag: RuleTag, tags: Collection[str]) -> RuleTag | None:
    if tag.when:
        return tag
    any_of, none_of = (tuple(name for name in names if name in tags) for names in (tag.any_of, tag.none_of))
    return dataclasses.replace(tag, any_of=any_of, none_of=none_of) if any_of else None
