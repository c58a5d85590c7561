"""Removes tags that too few artists carry from a taxonomy."""

import dataclasses
from collections.abc import Mapping

from transforms.taxonomy.categories import Category, Tag
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.redirects import kept_redirects
from transforms.taxonomy.rules import kept_rules

FEWEST_TAGS = {"binary": 1, "multiclass": 2, "multilabel": 1}
"""Fewest tags of a category of each kind."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrunedTaxonomy:
    """A reduced taxonomy, and for each tag that was removed the reason."""

    taxonomy: Taxonomy
    reasons: dict[str, str]


def without_rare(taxonomy: Taxonomy, artists: Mapping[str, int], min_artists: int) -> PrunedTaxonomy:
    """Drops the tags that fewer than `min_artists` artists carry.

    Every track that carries a tag carries its parents, so the parents of a kept tag are kept. A dropped tag stays in
    the category's `dropped` list, so that it still counts as evidence for the category and for its parents. A whole
    category is dropped if too few of its tags are kept: not all tags of a `binary` one, fewer than two classes of a
    `multiclass` one, or none of a `multilabel` one. Redirects to its tags are dropped with it, and rules as far as they
    name a dropped tag.

    Args:
      taxonomy: all tags.
      artists: tag id -> number of artists that carry it.
      min_artists: fewest artists of a tag that is kept.

    Raises:
      ValueError: no category is left.
    """
    categories: list[Category] = []
    reasons: dict[str, str] = {}
    for category in taxonomy.categories:
        rare = {tag.id for tag in category.tags if artists[tag.id] < min_artists}
        reasons |= {tag: f"{artists[tag]} artists, fewer than {min_artists}" for tag in sorted(rare)}
        kept = [tag for tag in category.tags if tag.id not in rare]
        if len(kept) < FEWEST_TAGS[category.kind] or (category.kind == "binary" and rare):
            why = f"without {', '.join(sorted(rare))}, the {category.kind} category has too few tags"
            reasons |= {tag.id: why for tag in kept}
        else:
            categories.append(_reduced(category, kept, rare))
    if not categories:
        raise ValueError(f"no category has enough tags with {min_artists} artists: give a lower --min-artists")
    rules = kept_rules(taxonomy.rules, {tag.id for category in categories for tag in category.tags})
    left = {tag.id for category in (*categories, *rules) for tag in (*category.tags, *category.dropped)}
    redirects = kept_redirects(taxonomy.redirects, left)
    pruned = Taxonomy(categories=tuple(categories), redirects=redirects, rules=rules)
    return PrunedTaxonomy(taxonomy=pruned, reasons=reasons)


def _reduced(category: Category, kept: list[Tag], rare: set[str]) -> Category:
    above = {tag.id: tag.parents for tag in category.tags}
    dropped = (*category.dropped, *(tag for tag in category.tags if tag.id in rare))
    moved = [dataclasses.replace(tag, parents=_kept_parents(tag.parents, above, rare)) for tag in dropped]
    return dataclasses.replace(category, tags=tuple(kept), dropped=tuple(moved))


def _kept_parents(parents: tuple[str, ...], above: Mapping[str, tuple[str, ...]], rare: set[str]) -> tuple[str, ...]:
    """The nearest broader tags that are kept, in order, in place of parents that are dropped."""
    kept: dict[str, None] = {}
    for parent in parents:
        kept |= dict.fromkeys(_kept_parents(above[parent], above, rare) if parent in rare else (parent,))
    return tuple(kept)
