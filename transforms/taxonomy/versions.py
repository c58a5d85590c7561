"""What differs between two versions of a taxonomy: heads that are new, and what became of each tag."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from transforms.formats.quantities import quantity
from transforms.taxonomy.categories import Category, Tag
from transforms.taxonomy.hierarchy import Taxonomy

_LISTED = 8
"""Most names in a sentence."""


class Fates(NamedTuple):
    """What became of the tags of an earlier version that a later one does not have.

    Attributes:
      renamed: earlier id -> the only id that replaces it, and that replaces no other one.
      merged: id -> the earlier ids that became this tag, of which there are several, or which it joins.
      split: earlier id -> the ids that replace it.
      dropped: earlier ids of tags that are no targets any more, but still count as evidence.
      removed: earlier ids that the later version does not have at all.
    """

    renamed: Mapping[str, str]
    merged: Mapping[str, tuple[str, ...]]
    split: Mapping[str, tuple[str, ...]]
    dropped: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def pairs(self) -> dict[str, str]:
        """Earlier id -> id, of renamed and of merged tags."""
        return {**self.renamed, **{old: new for new, olds in self.merged.items() for old in olds}}


def fates_of(tags: Iterable[str], after: Taxonomy) -> Fates:
    """What became of the tags of an earlier version.

    Args:
      tags: all its tags.
      after: the later version, whose aliases and redirects tell.
    """
    before = set(tags)
    new = {tag: _replacing(tag, after) for tag in sorted(before - after.published.keys())}
    single = {tag: found[0] for tag, found in new.items() if len(found) == 1 and found[0] in after.published}
    shared = Counter([*single.values(), *(before & after.published.keys())])
    merged: dict[str, tuple[str, ...]] = {}
    for old, tag in single.items():
        if shared[tag] > 1:
            merged[tag] = (*merged.get(tag, ()), old)
    return Fates(
        renamed={old: tag for old, tag in single.items() if shared[tag] == 1},
        merged=merged,
        split={tag: found for tag, found in new.items() if len(found) > 1},
        dropped=tuple(tag for tag, found in new.items() if len(found) == 1 and tag not in single),
        removed=tuple(tag for tag, found in new.items() if not found),
    )


def _replacing(tag: str, after: Taxonomy) -> tuple[str, ...]:
    """Ids of the tags, or of the dropped tag, that a gone tag became."""
    if (resolved := after.resolve(tag)) is not None:
        return (resolved,)
    return (after.dropped[tag].id,) if tag in after.dropped else after.replaced.get(tag, ())


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaxonomyChanges:
    """What differs in a later version of a taxonomy. A change of a renamed tag has its new id.

    Attributes:
      before: id of the earlier version.
      after: id of the later version.
      new_heads: categories that only the later version has.
      lost_heads: categories that only the earlier version has.
      other_heads: categories of both whose kind, or whose number or meaning of tags differs: their heads are fitted
        again.
      fates: what became of tags that the later version does not have.
      added: tags that replace none.
      moved: tag -> (its broader tags before, now), where these differ otherwise than by their ids.
      renamed_labels: tag -> (its display name before, now).
      other_rules: tags of both that follow from another rule, or from one on one side only.
    """

    before: str
    after: str
    new_heads: tuple[str, ...]
    lost_heads: tuple[str, ...]
    other_heads: tuple[str, ...]
    fates: Fates
    added: tuple[str, ...]
    moved: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    renamed_labels: Mapping[str, tuple[str, str]]
    other_rules: tuple[str, ...]

    def affected(self) -> dict[str, str]:
        """Tag of the earlier version -> what the later one changes about it, for tags whose tracks are concerned."""
        fates = self.fates
        new = {now: old for old, now in fates.renamed.items()}
        found = {new.get(tag, tag): "other rule" for tag in self.other_rules}
        found |= {new.get(tag, tag): "moved" for tag in self.moved}
        found |= dict.fromkeys(fates.renamed, "renamed")
        found |= {old: "merged" for olds in fates.merged.values() for old in olds}
        found |= dict.fromkeys(fates.split, "split") | dict.fromkeys(fates.dropped, "dropped")
        return found | dict.fromkeys(fates.removed, "removed")

    def sentences(self) -> list[str]:
        """All differences, for people."""
        moved = [f"{tag} from {_under(old)} to {_under(new)}" for tag, (old, new) in self.moved.items()]
        labels = [f"{tag}: {old!r} to {new!r}" for tag, (old, new) in self.renamed_labels.items()]
        kinds = (
            (self.new_heads, "new head", ""),
            (self.lost_heads, "head", " removed"),
            (self.other_heads, "head", " fitted again"),
            (self.added, "tag", " added"),
            ([f"{old} to {new}" for old, new in self.fates.renamed.items()], "tag", " renamed"),
            ([f"{' and '.join(olds)} into {new}" for new, olds in self.fates.merged.items()], "tag", " merged"),
            ([f"{old} into {' and '.join(new)}" for old, new in self.fates.split.items()], "tag", " split"),
            (moved, "tag", " moved in the hierarchy"),
            (self.fates.dropped, "tag", " dropped, still evidence for their broader tags"),
            (self.fates.removed, "tag", " removed"),
            (self.other_rules, "tag", " with another rule"),
            (labels, "tag", " with another display name"),
        )
        found = [f"{quantity(len(names), noun)}{what}: {_listed(names)}" for names, noun, what in kinds if names]
        if not found:
            same = self.before == self.after
            found = ["no difference" if same else "no tag differs: order, aliases, redirects or rules do"]
        return found

    def to_json(self) -> dict[str, Any]:
        """The differences as a JSON object."""
        fates = self.fates._asdict()
        moved = {tag: {"before": list(old), "after": list(new)} for tag, (old, new) in self.moved.items()}
        labels = {tag: {"before": old, "after": new} for tag, (old, new) in self.renamed_labels.items()}
        names = ("new_heads", "lost_heads", "other_heads", "added", "other_rules")
        fields = {name: getattr(self, name) for name in names}
        ids = {"before": self.before, "after": self.after}
        return {"taxonomy_ids": ids, **fields, **fates, "moved": moved, "renamed_labels": labels}


def _listed(names: Sequence[str]) -> str:
    hidden = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {hidden} more" if hidden > 0 else "")


def _under(parents: Iterable[str]) -> str:
    return " and ".join(parents) or "the top"


def compare_taxonomies(before: Taxonomy, after: Taxonomy) -> TaxonomyChanges:
    """What the later version changes."""
    old, new = before.published, after.published
    fates = fates_of(old, after)
    replacing = {*fates.renamed.values(), *fates.merged, *(tag for tags in fates.split.values() for tag in tags)}
    same = {tag: old[tag] for tag in new if tag in old} | {now: old[tag] for tag, now in fates.renamed.items()}
    kept = [tag for tag in new.values() if tag.id in same]
    places = {tag.id: _places(same[tag.id], tag.id, fates) for tag in kept}
    categories = [{category.name: category for category in version.categories} for version in (before, after)]
    both = [name for name in categories[1] if name in categories[0]]
    return TaxonomyChanges(
        before=before.taxonomy_id,
        after=after.taxonomy_id,
        new_heads=tuple(name for name in categories[1] if name not in categories[0]),
        lost_heads=tuple(name for name in categories[0] if name not in categories[1]),
        other_heads=tuple(name for name in both if not _same_head(categories[0][name], categories[1][name], fates)),
        fates=fates,
        added=tuple(tag for tag in new if tag not in old and tag not in replacing),
        moved={tag.id: (places[tag.id], tag.parents) for tag in kept if set(places[tag.id]) != set(tag.parents)},
        renamed_labels={tag.id: (same[tag.id].name, tag.name) for tag in kept if same[tag.id].name != tag.name},
        other_rules=tuple(
            tag.id for tag in kept if before.rule_texts.get(same[tag.id].id) != after.rule_texts.get(tag.id)
        ),
    )


def _places(tag: Tag, now: str, fates: Fates) -> tuple[str, ...]:
    """The broader tags of an earlier tag, by the ids that the later version has for them, without its own."""
    pairs = fates.pairs
    parents = dict.fromkeys(pairs.get(parent, parent) for parent in tag.parents)
    return tuple(parent for parent in parents if parent != now)


def _same_head(before: Category, after: Category, fates: Fates) -> bool:
    """Whether the head of a category can be kept: the same kind, and the same tags but for their ids."""
    ids = [{tag.id for tag in side.tags} for side in (before, after)]
    return before.kind == after.kind and {fates.renamed.get(tag, tag) for tag in ids[0]} == ids[1]
