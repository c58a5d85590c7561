"""Redirects: earlier tag ids, and the ids that replace them.

redirects:
  mood/wild: mood/furious                            # renamed
  mood/angry: mood/furious                           # merged: a second earlier id, or a tag that was there before
  genre/electronic: [genre/house, genre/techno]      # split
"""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from transforms.taxonomy.categories import Category
from transforms.taxonomy.checks import id_fault, meant_name, parents_first
from transforms.taxonomy.tag_ids import shown, tag_id


@dataclasses.dataclass(frozen=True, kw_only=True)
class Redirect:
    """An earlier tag id.

    Attributes:
      old: the earlier id. No tag has it any more.
      new: ids that replace it, sorted: one if the tag was renamed or merged with another one, several if it was split.
        They may be earlier ids themselves.
    """

    old: str
    new: tuple[str, ...]


def redirect_shape(obj: object) -> Iterator[str]:
    """Yields faults in the structure of the section `redirects` of a parsed file."""
    if not isinstance(obj, dict):
        yield f"redirects: {shown(obj)} is not a mapping of earlier ids to ids"
        return
    for old, new in obj.items():
        listed = new if isinstance(new, list) else [new]
        if not listed or not all(isinstance(name, str) for name in (old, *listed)):
            yield f"redirect {shown(old)}: {shown(new)}: write `earlier-id: id`, or `earlier-id: [id, id]` for a split"
            continue
        yield from (f"redirect {shown(old)}: {fault}" for name in (old, *listed) if (fault := id_fault(name)))


def redirects_from_json(obj: Mapping[str, Any]) -> tuple[Redirect, ...]:
    """The redirects of a section without faults in its structure, in the order of the earlier ids."""
    found = ((tag_id(old), new if isinstance(new, list) else [new]) for old, new in obj.items())
    redirects = (Redirect(old=old, new=tuple(sorted(map(tag_id, new)))) for old, new in found)
    return tuple(sorted(redirects, key=lambda redirect: redirect.old))


def redirects_to_json(redirects: Iterable[Redirect]) -> dict[str, Any]:
    """The section `redirects` of a file."""
    ordered = sorted(redirects, key=lambda redirect: redirect.old)
    return {one.old: one.new[0] if len(one.new) == 1 else list(one.new) for one in ordered}


def redirect_faults(redirects: Sequence[Redirect], categories: Iterable[Category]) -> Iterator[str]:
    """Yields faults in the content: ids that are tags, too; targets that do not exist; circles."""
    tags = [tag for category in categories for tag in (*category.tags, *category.dropped)]
    live, aliases = {tag.id for tag in tags}, {alias: tag.id for tag in tags for alias in tag.aliases}
    olds = {redirect.old for redirect in redirects}
    for old, count in Counter(redirect.old for redirect in redirects).items():
        if count > 1:
            yield f"redirect {old!r} is listed {count} times"
    for redirect in redirects:
        place = f"redirect {redirect.old!r}"
        if redirect.old in live:
            yield f"{place}: the taxonomy has a tag with this id: remove the redirect, or the tag"
        elif redirect.old in aliases:
            yield f"{place}: this id is an alias of {aliases[redirect.old]!r}: remove the redirect, or the alias"
        for new, count in Counter(redirect.new).items():
            if new not in live | olds:
                yield f"{place}: {new!r} does not exist{meant_name(new, live)}"
            if count > 1:
                yield f"{place}: {new!r} is listed {count} times"
    onward = _onward(redirects, olds)
    if stuck := set(onward) - set(parents_first(onward)):
        yield f"redirects {shown(sorted(stuck))}: they lead in a circle"


def _onward(redirects: Iterable[Redirect], olds: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Earlier id -> the earlier ids that it is redirected to."""
    return {redirect.old: tuple(new for new in redirect.new if new in olds) for redirect in redirects}


def final_targets(redirects: Sequence[Redirect]) -> dict[str, tuple[str, ...]]:
    """Earlier id -> ids that replace it, sorted, through all further redirects. There are no circles."""
    given = {redirect.old: redirect.new for redirect in redirects}
    found: dict[str, tuple[str, ...]] = {}
    for old in parents_first(_onward(redirects, given)):
        found[old] = tuple(sorted({final for new in given[old] for final in found.get(new, (new,))}))
    return found


def kept_redirects(redirects: Sequence[Redirect], tags: Collection[str]) -> tuple[Redirect, ...]:
    """The redirects, without chains, whose ids are all among these tags.

    A redirect to several ids of which one is gone is left out: the earlier id does not mean the others.
    """
    finals = final_targets(redirects)
    return tuple(Redirect(old=old, new=new) for old, new in sorted(finals.items()) if set(new) <= set(tags))
