"""How annotations are combined with the scores of the model: one YAML file, checked against the taxonomy."""

import dataclasses
import functools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Self

from transforms import storage
from transforms.formats.documents import YAML_BYTES, parse_yaml
from transforms.formats.hashing import short_id
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.tag_ids import shown

CATALOG_SOURCE = "catalog"
"""Name of the source whose annotations are the `tags` of the catalog."""

MOST_SOURCES = 100

_NAME_CHARS = 64

FusionMode = Literal["override", "blend", "fill", "ignore"]
Absent = Literal["unknown", "negative"]

MODES: tuple[FusionMode, ...] = ("override", "blend", "fill", "ignore")
ABSENCES: tuple[Absent, ...] = ("unknown", "negative")


class PolicyError(ValueError):
    """A file of `--fusion` that cannot be used. The message lists all faults."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """What a source may do with the tags of one category.

    Attributes:
      mode: `override`: the source alone decides. `blend`: its log-odds are added to those of the model. `fill`: the
        same, only for tags of a track of which no source with `override` or `blend` says anything. `ignore`: its rows
        are not used.
      trust: how reliable it is, from 0 (says nothing) to 1 (is never wrong): a weight of 1 means the probability
        0.5 + trust / 2.
      weight: factor of its log-odds, over 0; below 1 for a source that repeats what others say.
      absent: what a tag means that the source does not have for a track, where it has another tag of the category:
        nothing, or a weight of 0.
      absent_trust: `trust` of this weight of 0.
    """

    mode: FusionMode
    trust: float
    weight: float = 1.0
    absent: Absent = "unknown"
    absent_trust: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceRules:
    """One source, and its rule for each category of the taxonomy."""

    name: str
    rules: Mapping[str, Rule]

    @functools.cached_property
    def digest(self) -> str:
        """Hash of the name and the rules."""
        rules = {name: dataclasses.asdict(rule) for name, rule in self.rules.items()}
        return short_id("rules", self.name, json.dumps(rules, sort_keys=True))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """All sources, in the order of the file. Of several that override a tag of a track, the first one decides."""

    sources: tuple[SourceRules, ...]

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the sources."""
        return tuple(source.name for source in self.sources)

    @functools.cached_property
    def policy_id(self) -> str:
        """Hash of all sources and rules."""
        return short_id("fusion", *(source.digest for source in self.sources))

    def uses(self, name: str, category: str) -> bool:
        """Whether rows of a source in a category are used."""
        return self.sources[self.names.index(name)].rules[category].mode != "ignore"

    def without(self, name: str) -> "Policy":
        """The policy without one of its sources."""
        return Policy(sources=tuple(source for source in self.sources if source.name != name))

    def to_json(self) -> list[dict[str, Any]]:
        """The sources as JSON objects."""
        return [
            {"name": s.name, "rules": {name: dataclasses.asdict(rule) for name, rule in s.rules.items()}}
            for s in self.sources
        ]

    @classmethod
    def from_json(cls, obj: Iterable[Mapping[str, Any]]) -> Self:
        """The policy that `to_json` returned."""
        return cls(
            sources=tuple(
                SourceRules(name=s["name"], rules={name: Rule(**rule) for name, rule in s["rules"].items()})
                for s in obj
            )
        )


def load_policy(url: str, taxonomy: Taxonomy) -> Policy:
    """Reads a file of `--fusion`.

    Raises:
      PolicyError: the file is missing, is not YAML, or has faults. All of them are named.
    """
    try:
        obj = parse_yaml(storage.read_bytes(url, max_bytes=YAML_BYTES))
    except (storage.StorageError, ValueError) as error:
        raise PolicyError(f"{url}: {str(error).removeprefix(f'{url}: ')}") from error
    try:
        return policy_of(obj, taxonomy)
    except PolicyError as error:
        raise PolicyError("\n".join(f"{url}: {fault}" for fault in str(error).split("\n"))) from error


def policy_of(obj: object, taxonomy: Taxonomy) -> Policy:
    """The policy of a parsed file.

    Raises:
      PolicyError: it has faults; one line for each.
    """
    if not isinstance(obj, dict) or set(obj) != {"sources"} or not isinstance(obj["sources"], dict):
        raise PolicyError("it must be one mapping with the key `sources`, which maps names of sources to their rules")
    if not 1 <= len(obj["sources"]) <= MOST_SOURCES:
        raise PolicyError(f"{len(obj['sources'])} sources: give 1 to {MOST_SOURCES}")
    faults: list[str] = []
    sources = [_source(name, value, taxonomy, faults) for name, value in obj["sources"].items()]
    if faults:
        raise PolicyError("\n".join(faults))
    return Policy(sources=tuple(sources))


_FIELDS = tuple(field.name for field in dataclasses.fields(Rule))


_NUMBERS = ("trust", "weight", "absent_trust")


def _source(name: object, obj: object, taxonomy: Taxonomy, faults: list[str]) -> SourceRules:
    if not isinstance(name, str) or not name.strip() or len(name) > _NAME_CHARS or not name.isprintable():
        faults.append(f"{shown(name)} is no name of a source: give a text of 1 to {_NAME_CHARS} characters")
        return SourceRules(name="", rules={})
    if not isinstance(obj, dict):
        faults.append(f"source {name}: {shown(obj)} is not a mapping with {', '.join(_FIELDS)}, categories")
        return SourceRules(name=name, rules={})
    common = {key: value for key, value in obj.items() if key != "categories"}
    own = {} if (given := obj.get("categories")) is None else given
    if not isinstance(own, dict):
        faults.append(f"source {name}: categories: {shown(own)} is not a mapping of categories to rules")
        own = {}
    known = [category.name for category in taxonomy.categories]
    faults += [
        f"source {name}: the taxonomy has no category {shown(category)}: it has {', '.join(known)}"
        for category in own
        if category not in known
    ]
    rules = {}
    for category in known:
        place = f"source {name}, category {category}" if category in own else f"source {name}"
        found = own.get(category, {})
        if not isinstance(found, dict):
            faults.append(f"{place}: {shown(found)} is not a mapping with {', '.join(_FIELDS)}")
            continue
        wrong = list(_rule_faults(place, rule := {**common, **found}))
        faults += [fault for fault in wrong if fault not in faults]
        if not wrong:
            numbers = {name: float(rule[name]) for name in _NUMBERS if name in rule}
            rules[category] = Rule(**{"absent_trust": numbers["trust"], **rule, **numbers})
    return SourceRules(name=name, rules=rules)


def _rule_faults(place: str, rule: Mapping[Any, Any]) -> Iterator[str]:
    for name in rule:
        if name not in _FIELDS:
            yield f"{place}: unknown field {shown(name)}: known are {', '.join(_FIELDS)}"
    for name in ("mode", "trust"):
        if name not in rule:
            yield f"{place}: no {name}"
    for name, words in (("mode", MODES), ("absent", ABSENCES)):
        if name in rule and rule[name] not in words:
            yield f"{place}: {name} {shown(rule[name])}: give {', '.join(words)}"
    for name, least, most in (("trust", 0.0, 1.0), ("absent_trust", 0.0, 1.0), ("weight", 0.0, 100.0)):
        value = rule.get(name, 1.0)
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not least <= value <= most or (name == "weight" and value == 0):
            bounds = "over 0, at most 100" if name == "weight" else "from 0 to 1"
            yield f"{place}: {name} {shown(value)}: give a number {bounds}"
    if "absent_trust" in rule and rule.get("absent", "unknown") != "negative":
        yield f"{place}: absent_trust needs `absent: negative`"
    if "weight" in rule and rule.get("mode") == "override":
        yield f"{place}: weight has no meaning for `mode: override`: leave it out"
