"""Checks of a taxonomy. They report all faults as sentences, not only the first."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from transforms.formats.quantities import quantity
from transforms.taxonomy.tag_ids import TAG_CHARS, shown, tag_id

if TYPE_CHECKING:
    from transforms.taxonomy.categories import Category, Tag

_COMPARED = 2000  # of more names, looking for the nearest one takes too long
_KINDS = ("binary", "multiclass", "multilabel")
_CATEGORY_FIELDS = {"name", "kind", "tags"}
_TAG_LISTS = ("parents", "aliases", "any_of", "none_of")
_TAG_FIELDS = {"id", "name", *_TAG_LISTS}


def check_shape(obj: object) -> list[str]:
    """Faults in the structure of a parsed file: missing or unknown fields, and fields of a wrong type."""
    if (
        not isinstance(obj, dict)
        or set(obj) - {"redirects", "rules"} != {"categories"}
        or not isinstance(obj["categories"], list)
    ):
        return [
            "a taxonomy is one mapping with the key `categories`, a list of categories, and perhaps `redirects` and "
            "`rules`"
        ]
    return [fault for i, category in enumerate(obj["categories"], 1) for fault in _category_shape(i, category)]


def _category_shape(number: int, obj: object) -> Iterator[str]:
    place = f"category {number}"
    if not isinstance(obj, dict):
        yield f"{place}: {shown(obj)} is not a mapping with {', '.join(sorted(_CATEGORY_FIELDS))}"
        return
    if isinstance(obj.get("name"), str):
        place = f"category {shown(obj['name'])}"
    yield from _fields(place, obj, _CATEGORY_FIELDS, {*_CATEGORY_FIELDS, "dropped"})
    yield from text_faults(place, obj, ("name", "kind"))
    for field, what in (("tags", "tag"), ("dropped", "dropped tag")):
        if not isinstance(obj.get(field, []), list):
            yield f"{place}: {field} must be a list"
            continue
        for i, tag in enumerate(obj.get(field, []), 1):
            yield from _tag_shape(f"{place}, {what} {i}", tag)


def _tag_shape(place: str, obj: object) -> Iterator[str]:
    if isinstance(obj, str):
        return
    if not isinstance(obj, dict):
        yield f"{place}: {shown(obj)} is neither an id nor a mapping (id, name, parents, aliases ...)"
        return
    if isinstance(obj.get("id"), str):
        place = f"tag {shown(obj['id'])}"
    yield from _fields(place, obj, {"id"}, _TAG_FIELDS)
    yield from text_faults(place, obj, ("id", "name"))
    yield from id_list_faults(place, obj, _TAG_LISTS)


def _fields(place: str, obj: Mapping[str, Any], needed: set[str], known: set[str]) -> Iterator[str]:
    for name in sorted(needed - set(obj)):
        yield f"{place}: no {name}"
    for name in sorted(str(key) for key in set(obj) - known):
        yield f"{place}: unknown field {shown(name)}{meant_name(name, known)}"


def id_list_faults(place: str, obj: Mapping[Any, Any], fields: Sequence[str]) -> Iterator[str]:
    """Those of the fields that should be lists of tag ids and are not, if they are there."""
    for field in fields:
        value = obj.get(field) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            yield f"{place}: {field} must be a list of tag ids, not {shown(value)}"
            continue
        yield from (f"{place}: {field}: {fault}" for item in value if (fault := id_fault(item)))


def text_faults(place: str, obj: Mapping[Any, Any], fields: Sequence[str]) -> Iterator[str]:
    """Those of the fields that should be texts and are not, if they are there."""
    for field in fields:
        if field in obj and not isinstance(obj[field], str):
            yield f"{place}: {field} {shown(obj[field])} is not text: quote it"
        elif len(obj.get(field, "")) > TAG_CHARS:
            yield f"{place}: {field} has {len(obj[field])} characters, at most {TAG_CHARS} are read: shorten it"


def id_fault(tag: str) -> str | None:
    """Why a text is no tag id; None if it is one."""
    try:
        tag_id(tag)
    except ValueError as e:
        return str(e)
    return None


def meant_name(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the most similar known one, if there is any."""
    names = sorted(known)
    near = difflib.get_close_matches(name[:TAG_CHARS], names, n=1) if len(names) <= _COMPARED else []
    return f": did you mean {near[0]!r}?" if near else ""


def check(categories: Sequence["Category"]) -> list[str]:
    """Faults in the content: names, kinds, parents, aliases and rules that contradict each other."""
    if not categories:
        return ["no categories: give at least one"]
    faults = list(repeated("category", (category.name for category in categories)))
    tags = [tag for category in categories for tag in category.tags]
    dropped = [tag for category in categories for tag in category.dropped]
    faults += repeated("tag", (tag.id for tag in (*tags, *dropped)))
    for category in categories:
        faults += _category_faults(category)
    faults += _alias_faults([*tags, *dropped])
    known = {tag.id for tag in tags}
    for tag in (*tags, *dropped):
        faults += _parent_faults(tag, known)
    return faults + cycle_faults(tags)


def repeated(what: str, names: Iterable[str]) -> Iterator[str]:
    """Yields a fault for each name that is there more than once."""
    counts = Counter(names)
    yield from (f"{what} {name!r} is listed {count} times" for name, count in counts.items() if count > 1)


def _category_faults(category: "Category") -> Iterator[str]:
    place, count = f"category {category.name!r}", len(category.tags)
    yield from kind_faults(place, category.kind, count)
    if category.kind == "binary" and category.dropped:
        yield f"{place}: dropped tags are for multiclass and multilabel categories"
    for tag in (*category.tags, *category.dropped):
        yield from _tag_faults(category, tag)


def kind_faults(place: str, kind: str, count: int) -> Iterator[str]:
    """Yields faults in the kind of a category with so many tags."""
    if kind not in _KINDS:
        yield f"{place}: kind {kind!r}: choose {', '.join(_KINDS)}"
    if kind == "binary" and count not in (1, 2):
        yield f"{place}: {quantity(count, 'tag')}: a binary category has one tag, or two of which one applies"
    if kind == "multiclass" and count < 2:
        yield f"{place}: {quantity(count, 'tag')}: a multiclass category needs two or more"
    if kind == "multilabel" and count < 1:
        yield f"{place}: no tags"


def _tag_faults(category: "Category", tag: "Tag") -> Iterator[str]:
    place = f"tag {tag.id!r}"
    if fault := id_fault(tag.id):
        yield fault
    elif tag_id(tag.id) != tag.id or tag.category != category.name:
        yield f"{place}: listed in category {category.name!r}: its id must be {category.name}/<slug>"
    if tag.parents and category.kind != "multilabel":
        yield f"{place}: parents are for multilabel categories, {category.name!r} is {category.kind}"
    if (tag.any_of or tag.none_of) and category.kind != "binary":
        yield f"{place}: any_of and none_of are for binary categories, {category.name!r} is {category.kind}"
    if both := sorted(set(tag.any_of) & set(tag.none_of)):
        yield f"{place}: {both} are in any_of and in none_of"


def _alias_faults(tags: Sequence["Tag"]) -> Iterator[str]:
    owners: dict[str, str] = {tag.id: tag.id for tag in tags}
    for tag in tags:
        for alias in tag.aliases:
            if owners.setdefault(alias, tag.id) != tag.id:
                yield f"tag {tag.id!r}: alias {alias!r} already belongs to {owners[alias]!r}"


def _parent_faults(tag: "Tag", known: set[str]) -> Iterator[str]:
    for parent in tag.parents:
        if parent not in known:
            yield f"tag {tag.id!r}: parent {parent!r} does not exist{meant_name(parent, known)}"
        elif parent.partition("/")[0] != tag.category:
            yield f"tag {tag.id!r}: parent {parent!r} belongs to another category"
    yield from (f"tag {tag.id!r}: {fault}" for fault in repeated("parent", tag.parents))


def cycle_faults(tags: Sequence["Tag"]) -> list[str]:
    """A fault if parents form a cycle."""
    known = {tag.id for tag in tags}
    parents = {tag.id: tuple(p for p in tag.parents if p in known) for tag in tags}
    stuck = set(parents) - set(parents_first(parents))
    return [f"tags {shown(sorted(stuck))}: parents form a cycle"] if stuck else []


def parents_first(parents: Mapping[str, Sequence[str]]) -> list[str]:
    """Ids in an order with parents before children. Ids on a cycle or below one are omitted."""
    children: dict[str, list[str]] = {tag: [] for tag in parents}
    for tag, above in parents.items():
        for parent in set(above):
            children[parent].append(tag)
    waiting = {tag: len(set(above)) for tag, above in parents.items()}
    order = [tag for tag, count in waiting.items() if count == 0]
    for tag in order:
        for child in children[tag]:
            waiting[child] -= 1
            if waiting[child] == 0:
                order.append(child)
    return order
