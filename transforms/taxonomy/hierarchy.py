"""The taxonomy: categories and their tags, in the order of the file."""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from transforms import storage
from transforms.formats.documents import YAML_BYTES, parse_yaml
from transforms.formats.hashing import short_id
from transforms.taxonomy.categories import Category, CategoryKind, Tag
from transforms.taxonomy.checks import check, check_shape, parents_first
from transforms.taxonomy.redirects import (
    Redirect,
    final_targets,
    redirect_faults,
    redirect_shape,
    redirects_from_json,
    redirects_to_json,
)
from transforms.taxonomy.rule_checks import line_of_rule, rule_faults, rule_shape
from transforms.taxonomy.rules import RuleCategory, RuleTag, rules_from_json, rules_to_json
from transforms.taxonomy.tag_ids import tag_id

_MOST_PROBLEMS, _MOST_CHARS = 1000, 500


class TaxonomyError(ValueError):
    """A taxonomy that cannot be used.

    Attributes:
      problems: all faults, one sentence each; of very many, the first ones and the number of the others.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        found = [text if len(text) <= _MOST_CHARS else f"{text[: _MOST_CHARS - 3]}..." for text in problems]
        rest = [f"{len(found) - _MOST_PROBLEMS} more faults"] if len(found) > _MOST_PROBLEMS else []
        self.problems = (*found[:_MOST_PROBLEMS], *rest)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[Self], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Taxonomy:
    """All categories. The constructor checks them and reports all faults, not only the first.

    Attributes:
      categories: the categories, in the order of the file.
      redirects: earlier tag ids, and the ids that replace them.
      rules: categories whose tags follow from measurements and from other tags. They are not targets.

    Raises:
      TaxonomyError: the taxonomy has faults.
    """

    categories: tuple[Category, ...]
    redirects: tuple[Redirect, ...] = ()
    rules: tuple[RuleCategory, ...] = ()

    def __post_init__(self) -> None:
        named = {tag.id for category in self.categories for tag in category.tags}
        problems = [
            *check(self.categories),
            *rule_faults(self.rules, named, {category.name for category in self.categories}),
            *redirect_faults(self.redirects, (*self.categories, *self.rules)),
        ]
        if problems:
            raise TaxonomyError(problems)

    @functools.cached_property
    def tags(self) -> tuple[Tag, ...]:
        """All tags of categories, in the order of the file: the columns of a target vector. Without those of rules."""
        return tuple(tag for category in self.categories for tag in category.tags)

    @functools.cached_property
    def rule_tags(self) -> tuple[RuleTag, ...]:
        """All tags of rules, in the order of the file."""
        return tuple(tag for category in self.rules for tag in category.tags)

    @functools.cached_property
    def rule_texts(self) -> Mapping[str, str]:
        """Tag of a rule -> everything that decides it, as JSON."""
        return {tag.id: category.rule_text(tag) for category in self.rules for tag in category.tags}

    @functools.cached_property
    def published(self) -> Mapping[str, Tag]:
        """Id of each tag that tables have -> the tag: those of categories, and those of rules."""
        return {tag.id: tag for tag in (*self.tags, *self.rule_tags)}

    @functools.cached_property
    def tag_ids(self) -> tuple[str, ...]:
        """Ids of all tags, in the order of `tags`."""
        return tuple(tag.id for tag in self.tags)

    @functools.cached_property
    def index(self) -> Mapping[str, int]:
        """Position of each tag id in `tags`."""
        return {tag.id: i for i, tag in enumerate(self.tags)}

    @functools.cached_property
    def kinds(self) -> tuple[CategoryKind, ...]:
        """Kind of each tag's category, in the order of `tags`."""
        return tuple(category.kind for category in self.categories for _ in category.tags)

    @functools.cached_property
    def slices(self) -> Mapping[str, slice]:
        """Positions of each category's tags in `tags`."""
        slices, start = {}, 0
        for category in self.categories:
            slices[category.name] = slice(start, start + len(category.tags))
            start += len(category.tags)
        return slices

    @functools.cached_property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """Positions of each tag's direct parents, in the order of `tags`."""
        return tuple(tuple(self.index[parent] for parent in tag.parents) for tag in self.tags)

    @functools.cached_property
    def topological(self) -> tuple[int, ...]:
        """Positions of all tags, with parents before their children."""
        return tuple(self.index[tag] for tag in parents_first({tag.id: tag.parents for tag in self.tags}))

    @functools.cached_property
    def ancestors(self) -> tuple[tuple[int, ...], ...]:
        """Positions of all direct and indirect parents of each tag, ascending, in the order of `tags`."""
        above: dict[int, set[int]] = {}
        for i in self.topological:
            above[i] = set(self.parents[i]).union(*(above[parent] for parent in self.parents[i]))
        return tuple(tuple(sorted(above[i])) for i in range(len(self.tags)))

    @functools.cached_property
    def taxonomy_id(self) -> str:
        """Hash of the content, including the order of tags."""
        return short_id("tx", json.dumps(self.to_json(), sort_keys=True))

    @functools.cached_property
    def _resolved(self) -> Mapping[str, str]:
        aliases = {alias: tag.id for tag in self.tags for alias in tag.aliases}
        known = aliases | {tag.id: tag.id for tag in self.tags}
        return known | {old: new[0] for old, new in self.replaced.items() if len(new) == 1 and new[0] in known}

    @functools.cached_property
    def replaced(self) -> Mapping[str, tuple[str, ...]]:
        """Earlier tag id -> ids of the tags that replace it, sorted, through all redirects. They may be dropped."""
        return final_targets(self.redirects)

    @functools.cached_property
    def other_ids(self) -> Mapping[str, tuple[str, ...]]:
        """Tag id -> its aliases and the earlier ids that it replaces, sorted. An id of several tags was split.

        An id that was split so that a part of it is a dropped tag is omitted: no tags have all its tracks.
        """
        found = {tag.id: set(tag.aliases) for tag in self.published.values()}
        for old, new in self.replaced.items():
            for tag in new if found.keys() >= set(new) else ():
                found[tag].add(old)
        return {tag: tuple(sorted(names)) for tag, names in found.items()}

    @functools.cached_property
    def dropped(self) -> Mapping[str, Tag]:
        """The dropped tags of all categories, by id, by alias and by earlier id."""
        found = {name: tag for c in self.categories for tag in c.dropped for name in (tag.id, *tag.aliases)}
        return found | {old: found[new[0]] for old, new in self.replaced.items() if len(new) == 1 and new[0] in found}

    @functools.cached_property
    def concerned(self) -> Mapping[str, tuple[str, ...]]:
        """Tag id -> names of the categories it gives evidence for: its own, and binary ones with a rule for it."""
        concerned: dict[str, dict[str, None]] = {}
        for category in self.categories:
            for tag in (*category.tags, *category.dropped):
                for name in (tag.id, *tag.any_of, *tag.none_of):
                    concerned.setdefault(name, {})[category.name] = None
        return {name: tuple(categories) for name, categories in concerned.items()}

    @functools.cached_property
    def _rule_tags(self) -> frozenset[str]:
        return frozenset(name for tag in self.tags for name in (*tag.any_of, *tag.none_of))

    def resolve(self, tag: str) -> str | None:
        """The tag id of a catalog's tag (an id, an alias or an earlier id that was not split), or None."""
        return self._resolved.get(tag)

    def knows(self, tag: str) -> bool:
        """Whether the taxonomy has a catalog's tag: an id, alias, earlier id, dropped tag, or in a rule of a tag."""
        return any(tag in names for names in (self._resolved, self.dropped, self._rule_tags, self.replaced))

    def implied(self, tag: str) -> tuple[int, ...]:
        """Positions of the tags that a catalog's tag implies: itself (unless it is dropped) and all broader tags.

        An earlier id that was split implies what all tags imply that replace it.
        """
        if len(new := self.replaced.get(tag, ())) > 1:
            return tuple(sorted(set.intersection(*(set(self.implied(one)) for one in new))))
        if (resolved := self.resolve(tag)) is not None:
            place = self.index[resolved]
            return (place, *self.ancestors[place])
        parents = self.dropped[tag].parents if tag in self.dropped else ()
        return tuple(sorted({place for parent in parents for place in self.implied(parent)}))

    def to_json(self) -> dict[str, Any]:
        """The taxonomy as a JSON object, which is also the content of its YAML file."""
        redirects = {"redirects": redirects_to_json(self.redirects)} if self.redirects else {}
        rules = {"rules": rules_to_json(self.rules)} if self.rules else {}
        return {"categories": [_category_to_json(category) for category in self.categories], **redirects, **rules}

    @classmethod
    def from_json(cls, obj: Any) -> Self:
        """Reads the taxonomy from a parsed YAML or JSON file.

        Raises:
          TaxonomyError: the taxonomy has faults.
        """
        problems = check_shape(obj)
        if isinstance(obj, dict) and "redirects" in obj:
            problems += redirect_shape(obj["redirects"])
        if isinstance(obj, dict) and "rules" in obj:
            problems += rule_shape(obj["rules"])
        if problems:
            raise TaxonomyError(problems)
        return cls(
            categories=tuple(_category(category) for category in obj["categories"]),
            redirects=redirects_from_json(obj.get("redirects", {})),
            rules=rules_from_json(obj.get("rules") or (), readable_name),
        )

    def to_yaml(self) -> str:
        """The taxonomy as a YAML file that `load_taxonomy` reads."""
        import yaml

        return yaml.safe_dump(self.to_json(), sort_keys=False, allow_unicode=True, width=120)


def _category_to_json(category: Category) -> dict[str, Any]:
    obj = {"name": category.name, "kind": category.kind, "tags": [_tag_to_json(tag) for tag in category.tags]}
    return {**obj, "dropped": [_tag_to_json(tag) for tag in category.dropped]} if category.dropped else obj


def _tag_to_json(tag: Tag) -> dict[str, Any]:
    lists = {name: list(getattr(tag, name)) for name in _TAG_LISTS if getattr(tag, name)}
    return {"id": tag.id, "name": tag.name, **lists}


_TAG_LISTS = ("parents", "aliases", "any_of", "none_of")


def _category(obj: Mapping[str, Any]) -> Category:
    tags, dropped = (tuple(_tag(tag) for tag in obj.get(field) or ()) for field in ("tags", "dropped"))
    return Category(name=obj["name"], kind=obj["kind"], tags=tags, dropped=dropped)


def _tag(obj: Mapping[str, Any] | str) -> Tag:
    """Reads a tag from its mapping or from its id alone."""
    fields: Mapping[str, Any] = {"id": obj} if isinstance(obj, str) else obj
    lists = {name: tuple(tag_id(t) for t in fields.get(name) or ()) for name in _TAG_LISTS}
    name = fields.get("name") or readable_name(fields["id"])
    return Tag(id=fields["id"], name=name, **lists)


def readable_name(tag: str) -> str:
    """The name of a tag for which the taxonomy gives none: its slug with spaces and an initial capital."""
    slug = tag.partition("/")[2].replace("_", " ").replace("-", " ")
    return slug[:1].upper() + slug[1:]


def load_taxonomy(url: str) -> Taxonomy:
    """Reads the taxonomy of a YAML or JSON file.

    Raises:
      TaxonomyError: the file is missing, is not YAML, or has faults. All are reported, each with the file's name.
    """
    return read_taxonomy(url, Taxonomy.from_json)


def load_rules(url: str, taxonomy: Taxonomy) -> Taxonomy:
    """A taxonomy with the rules of a file in place of its own.

    Args:
      url: a YAML or JSON file with `rules`. It may have `redirects`, which are added, and the same `categories`.
      taxonomy: the taxonomy.

    Raises:
      TaxonomyError: as for `load_taxonomy`; or the file has other categories.
    """

    def build(obj: Any) -> Taxonomy:
        if not isinstance(obj, dict) or "rules" not in obj or set(obj) - {"categories", "redirects", "rules"}:
            raise TaxonomyError(["no rules: write one mapping with the key `rules`, and perhaps `redirects`"])
        own = taxonomy.to_json()
        redirects = obj.get("redirects", {})
        if isinstance(redirects, dict):
            redirects = {**own.get("redirects", {}), **redirects}
        document = {"categories": own["categories"], "redirects": redirects, "rules": obj["rules"]}
        found = Taxonomy.from_json(document)
        if "categories" in obj and Taxonomy.from_json({**document, **obj}).categories != taxonomy.categories:
            raise TaxonomyError(
                ["its categories are others than those of the bundle: fit heads with `refit --taxonomy`"]
            )
        return found

    return read_taxonomy(url, build)


def read_taxonomy(url: str, build: Callable[[Any], Taxonomy]) -> Taxonomy:
    """What `build` makes of a parsed file. Raises TaxonomyError as `load_taxonomy` does."""
    data = b""
    try:
        return build(parse_yaml(data := storage.read_bytes(url, max_bytes=YAML_BYTES)))
    except storage.NotFound as e:
        raise TaxonomyError([f"{url}: no such taxonomy file ({e})"]) from e
    except (storage.TooLarge, storage.UnknownScheme) as e:
        raise TaxonomyError([str(e)]) from e
    except TaxonomyError as e:
        text = data.decode("utf-8", "replace")
        raise TaxonomyError(f"{url}{line_of_rule(text, problem)}: {problem}" for problem in e.problems) from e
    except ValueError as e:
        raise TaxonomyError([f"{url}: not a YAML file: {e}"]) from e
