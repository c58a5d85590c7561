"""Checks of the rules of a taxonomy. They report all faults as sentences: the value, the reason, what to write."""

import itertools
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from transforms.schemas.rule_columns import RULE_COLUMNS, RuleColumn
from transforms.taxonomy.checks import (
    cycle_faults,
    id_fault,
    id_list_faults,
    kind_faults,
    meant_name,
    repeated,
    text_faults,
)
from transforms.taxonomy.rules import RuleCategory, RuleCondition, RuleTag
from transforms.taxonomy.tag_ids import shown, tag_id

_NEEDED, _KNOWN = {"name", "kind", "tags"}, {"name", "kind", "tags", "cases", "min_confidence"}
_TAG_LISTS = ("parents", "any_of", "none_of")
_TAG_FIELDS = {"id", "name", "when", *_TAG_LISTS}
_CASE_FIELDS = {"tag", "at_least", "when"}
_LIMITS = ("from", "below")
_PLACE = re.compile(r"(?:rule|rules of) '([^']+)'")


def rule_shape(obj: object) -> Iterator[str]:
    """Yields faults in the structure of the section `rules` of a parsed file."""
    if not isinstance(obj, list):
        yield f"rules: {shown(obj)} is not a list of categories: write `- name: tempo` with kind and tags below it"
        return
    for number, category in enumerate(obj, 1):
        if not isinstance(category, dict):
            yield f"rules, category {number}: {shown(category)} is not a mapping with {', '.join(sorted(_NEEDED))}"
            continue
        yield from _category_shape(f"rules of {_named(category.get('name'), f'category {number}')}", category)


def _named(name: object, otherwise: str) -> str:
    return shown(name) if isinstance(name, str) else otherwise


def _category_shape(place: str, obj: Mapping[Any, Any]) -> Iterator[str]:
    yield from _fields(place, obj, _NEEDED, _KNOWN)
    yield from text_faults(place, obj, ("name", "kind"))
    if "min_confidence" in obj and not _is_share(obj["min_confidence"]):
        yield f"{place}: min_confidence {shown(obj['min_confidence'])}: give a number from 0 to 1"
    for field, shape in (("tags", _tag_shape), ("cases", _case_shape)):
        entries = obj.get(field) or []
        if not isinstance(entries, list):
            yield f"{place}: {field}: {shown(entries)} is not a list"
            continue
        for number, entry in enumerate(entries, 1):
            yield from shape(f"{place}, {field[:-1]} {number}", entry)


def _fields(place: str, obj: Mapping[Any, Any], needed: Collection[str], known: Collection[str]) -> Iterator[str]:
    yield from (f"{place}: no {name}" for name in sorted(set(needed) - set(obj)))
    for name in sorted(str(key) for key in set(obj) - set(known)):
        yield f"{place}: unknown field {shown(name)}{meant_name(name, known)}; known are {', '.join(sorted(known))}"


def _tag_shape(place: str, obj: object) -> Iterator[str]:
    if not isinstance(obj, dict):
        yield f"{place}: {shown(obj)} has no rule: write {{id: ..., when: {{column: {{from: ..., below: ...}}}}}}"
        return
    if isinstance(obj.get("id"), str):
        place = f"rule {shown(obj['id'])}"
    yield from _fields(place, obj, {"id"}, _TAG_FIELDS)
    yield from text_faults(place, obj, ("id", "name"))
    yield from id_list_faults(place, obj, _TAG_LISTS)
    if bool(obj.get("when")) == bool(obj.get("any_of")):
        yield f"{place}: give `when` with what was measured, or `any_of` with tags: one of the two"
    if obj.get("none_of") and not obj.get("any_of"):
        yield f"{place}: none_of needs any_of"
    if obj.get("when"):
        yield from _conditions_shape(place, obj["when"])


def _case_shape(place: str, obj: object) -> Iterator[str]:
    if not isinstance(obj, dict):
        yield f"{place}: {shown(obj)} is not a mapping with {', '.join(sorted(_CASE_FIELDS))}"
        return
    yield from _fields(place, obj, _CASE_FIELDS, _CASE_FIELDS)
    if "tag" in obj and (fault := id_fault(obj["tag"]) if isinstance(obj["tag"], str) else shown(obj["tag"])):
        yield f"{place}: {fault}: give the id of a tag of a category"
    if "at_least" in obj and not _is_share(obj["at_least"]):
        yield f"{place}: at_least {shown(obj['at_least'])}: give a score from 0 to 1"
    when = obj.get("when", {})
    if not isinstance(when, dict) or ("when" in obj and not when):
        yield f"{place}: when: {shown(when)} is not a mapping of tags of this category to conditions"
        return
    for tag, conditions in when.items():
        if not isinstance(tag, str) or (fault := id_fault(tag)):
            yield f"{place}: when: {shown(tag) if not isinstance(tag, str) else fault}"
        else:
            yield from _conditions_shape(f"{place}, {tag}", conditions)


def _is_share(value: object) -> bool:
    return _is_number(value) and 0 <= float(value) <= 1  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _conditions_shape(place: str, obj: object) -> Iterator[str]:
    if not isinstance(obj, dict) or not obj:
        yield f"{place}: {shown(obj)} is not a mapping of columns to what they must be"
        return
    for name, value in obj.items():
        if name not in RULE_COLUMNS:
            known = ", ".join(RULE_COLUMNS)
            near = meant_name(name, RULE_COLUMNS) if isinstance(name, str) else ""
            yield f"{place}: rules cannot read the column {shown(name)}{near}; they can read {known}"
            continue
        yield from (f"{place}: {name} {fault}" for fault in _value_faults(name, RULE_COLUMNS[name], value))


def _value_faults(name: str, column: RuleColumn, value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _limit_faults(name, column, value)
        return
    listed = value if isinstance(value, list) else [value]
    if not listed:
        yield "has no values: give one, or leave the column out"
    for one in listed:
        if column.type == "number" and not _is_number(one):
            yield f"{shown(one)}: give numbers, or {{from: ..., below: ...}}"
        elif column.type == "truth" and not isinstance(one, bool):
            yield f"{shown(one)}: give true or false"
        elif column.type == "text" and one not in column.values:
            near = meant_name(one, column.values) if isinstance(one, str) else ""
            yield f"{shown(one)}{near}; give {', '.join(column.values)}"


def _limit_faults(name: str, column: RuleColumn, value: Mapping[Any, Any]) -> Iterator[str]:
    if column.type != "number":
        yield f"{shown(value)}: it is no number: give one of its values, or a list of them"
        return
    if unknown := [key for key in value if key not in _LIMITS]:
        yield f"has the unknown limit {shown(unknown[0])}: write from (at least) and below (less than)"
    limits = {key: value[key] for key in _LIMITS if value.get(key) is not None}
    if wrong := [key for key, limit in limits.items() if not _is_number(limit)]:
        yield f"{wrong[0]} {shown(limits[wrong[0]])}: give a number"
        return
    if not limits:
        yield f"has no limits in {shown(value)}: write {{from: ..., below: ...}}, or one of the two"
        return
    least, below = float(limits.get("from", -math.inf)), float(limits.get("below", math.inf))
    if least >= below:
        swapped = f"{{from: {limits['below']}, below: {limits['from']}}}" if least > below else "two numbers"
        yield f"from {least:g} below {below:g} has no value in it: write {swapped}"
    elif column.bounds is not None and (least > column.bounds[1] or below <= column.bounds[0]):
        low, high = column.bounds
        yield f"{_limits_text(limits)}: no track has it, because {name} is {low:g} to {high:g}: correct the number"


def _limits_text(limits: Mapping[str, float]) -> str:
    return " ".join(f"{name} {limit:g}" for name, limit in limits.items())


def rule_faults(rules: Sequence[RuleCategory], tags: Collection[str], categories: Collection[str]) -> Iterator[str]:
    """Yields faults in the content of rules.

    Args:
      rules: the rules.
      tags: ids of the tags of the model.
      categories: names of the categories of the model.
    """
    yield from repeated("rules of category", (category.name for category in rules))
    own = {tag.id for category in rules for tag in category.tags}
    for category in rules:
        place = f"rules of {category.name!r}"
        if category.name in categories:
            other = f"measured_{category.name}"
            yield f"{place}: a category of `categories` has this name: choose another one, such as {other!r}"
        yield from kind_faults(place, category.kind, len(category.tags))
        yield from repeated("tag", (tag.id for tag in category.tags))
        for tag in category.tags:
            yield from _tag_faults(category, tag)
        for name in category.named_tags:
            if name in own:
                yield f"{place}: {name!r} is a tag of a rule: name a tag of `categories`, whose scores are the model's"
            elif name not in tags:
                near = meant_name(name, tags) or ": name a tag of `categories`"
                yield f"{place}: the taxonomy has no tag {name!r}{near}"
        yield from _case_faults(category)
        yield from cycle_faults(category.tags)
        yield from _overlaps(category)


def _tag_faults(category: RuleCategory, tag: RuleTag) -> Iterator[str]:
    place = f"rule {tag.id!r}"
    if fault := id_fault(tag.id):
        yield fault
    elif tag_id(tag.id) != tag.id or tag.category != category.name:
        yield f"{place}: listed in the rules of {category.name!r}: its id must be {category.name}/<slug>"
    if bool(tag.when) == bool(tag.any_of):
        yield f"{place}: give `when` with what was measured, or `any_of` with tags: one of the two"
    if tag.parents and category.is_exclusive:
        yield f"{place}: parents are for multilabel categories, {category.name!r} is {category.kind}"
    known = {one.id for one in category.tags}
    for parent in tag.parents:
        if parent not in known:
            yield f"{place}: parent {parent!r} is no tag of this category{meant_name(parent, known)}"
    if both := sorted(set(tag.any_of) & set(tag.none_of)):
        yield f"{place}: {both} are in any_of and in none_of"


def _case_faults(category: RuleCategory) -> Iterator[str]:
    known = {tag.id: tag for tag in category.tags}
    for number, case in enumerate(category.cases, 1):
        place = f"rules of {category.name!r}, case {number}"
        for tag in case.when:
            if tag not in known:
                near = meant_name(tag, known) or f": it has {', '.join(known)}"
                yield f"{place}: {tag!r} is no tag of this category{near}"
            elif not known[tag].when:
                yield f"{place}: {tag!r} follows from other tags, so that it has no conditions to replace"


def _overlaps(category: RuleCategory) -> Iterator[str]:
    """Pairs of tags that a track could have at the same time, although at most one applies."""
    pairs = itertools.combinations([tag for tag in category.tags if tag.when], 2) if category.is_exclusive else ()
    for (first, second), (case, when) in itertools.product(pairs, category.variants):
        own, theirs = when[first.id], when[second.id]
        if case and (own, theirs) == (first.when, second.when):  # said before
            continue
        if any(_disjoint(one, two) for one, two in itertools.product(own, theirs) if one.column == two.column):
            continue
        texts = [", ".join(condition.text for condition in one) for one in (own, theirs)]
        yield (
            f"rule {second.id!r}{case}: {texts[1]} overlaps {first.id!r}: {texts[0]}, but at most one tag of a "
            f"{category.kind} category applies: move a limit, or write kind: multilabel"
        )


def _disjoint(one: RuleCondition, two: RuleCondition) -> bool:
    """Whether no value meets both conditions on a column."""
    if one.values or two.values:
        some, other = (one, two) if one.values else (two, one)
        return not any(_meets(value, other) for value in some.values)
    bounds = [
        (c.least if c.least is not None else -math.inf, c.below if c.below is not None else math.inf)
        for c in (one, two)
    ]
    return max(low for low, _ in bounds) >= min(high for _, high in bounds)


def _meets(value: str | float | bool, condition: RuleCondition) -> bool:
    if condition.values:
        return value in condition.values
    number = float(value)
    return (condition.least is None or number >= condition.least) and (
        condition.below is None or number < condition.below
    )


def line_of_rule(text: str, problem: str) -> str:
    """Where a file has the tag or category of a fault in its rules, as `, line 12`; empty for other faults.

    >>> line_of_rule("rules:\\n  - name: tempo\\n", "rules of 'tempo': no kind")
    ', line 2'
    """
    if not (found := _PLACE.match(problem)):
        return ""
    lines = text.splitlines()
    section = next((number for number, line in enumerate(lines) if re.match(r"[\"']?rules[\"']?\s*:", line)), 0)
    name = re.compile(rf"\b(?:id|name)[\"']?\s*:\s*[\"']?{re.escape(found[1])}[\"']?\s*(?:[,}}#]|$)")
    return next((f", line {n}" for n, line in enumerate(lines[section:], section + 1) if name.search(line)), "")
