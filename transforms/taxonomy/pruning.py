"""Taxonomies without the tags that too few artists carry."""

import dataclasses
from collections.abc import Mapping

from transforms.taxonomy.categories import Category, Tag
from transforms.taxonomy.hierarchy import Taxonomy

FEWEST_TAGS = {"binary": 1, "multiclass": 2, "multilabel": 1}
"""Tags that a category needs to be one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrunedTaxonomy:
    """A taxonomy, and why it lacks each tag that another one has."""

    taxonomy: Taxonomy
    reasons: dict[str, str]


def without_rare(taxonomy: Taxonomy, artists: Mapping[str, int], min_artists: int) -> PrunedTaxonomy:
    """Drops the tags that fewer than `min_artists` artists carry.

    A tag's parents are carried wherever it is, so a kept tag's parents are kept. What a dropped tag says about its
    category and its parents still counts: it stays in the category's `dropped` list. A category goes as a whole where
    too little is left of it: one of the tags of a `binary` one, fewer than two classes, no tag.

    Args:
      taxonomy: all tags.
      artists: tag id -> artists that carry it.
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
            why = f"with {', '.join(sorted(rare))} dropped nothing is left of the {category.kind} category"
            reasons |= {tag.id: why for tag in kept}
        else:
            categories.append(_reduced(category, kept, rare))
    if not categories:
        raise ValueError(f"no category has enough tags with {min_artists} artists: give a lower --min-artists")
    return PrunedTaxonomy(taxonomy=Taxonomy(categories=tuple(categories)), reasons=reasons)


def _reduced(category: Category, kept: list[Tag], rare: set[str]) -> Category:
    above = {tag.id: tag.parents for tag in category.tags}
    dropped = (*category.dropped, *(tag for tag in category.tags if tag.id in rare))
    moved = [dataclasses.replace(tag, parents=_kept_parents(tag.parents, above, rare)) for tag in dropped]
    return dataclasses.replace(category, tags=tuple(kept), dropped=tuple(moved))


def _kept_parents(parents: tuple[str, ...], above: Mapping[str, tuple[str, ...]], rare: set[str]) -> tuple[str, ...]:
    """The nearest broader tags that are kept, in order."""
    found: dict[str, None] = {}
    for parent in parents:
        found |= dict.fromkeys(_kept_parents(above[parent], above, rare) if parent in rare else (parent,))
    return tuple(found)
