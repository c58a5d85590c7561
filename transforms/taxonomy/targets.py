"""Converts annotated tags to training targets, and masks the categories that are not annotated."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from transforms.taxonomy.categories import Category, Tag
from transforms.taxonomy.hierarchy import Taxonomy


@dataclasses.dataclass(frozen=True, kw_only=True)
class Labels:
    """Targets of one track.

    Attributes:
      targets: float32 [tags], 0 to 1, in the order of `Taxonomy.tags`; 0 if the category is not known.
      mask: float32 [tags], 1 if it is known whether the tag applies to this track, else 0. This is one value for all
        tags of a category, but for tags that replace an earlier one that was split.
      conflicts: names of the categories whose annotations contradict their kind. They are masked.
      unknown: tags that the taxonomy does not have, sorted.
      redirected: earlier ids among the tags, which count for the tags that replace them, sorted.
    """

    targets: npt.NDArray[np.float32]
    mask: npt.NDArray[np.float32]
    conflicts: tuple[str, ...]
    unknown: tuple[str, ...]
    redirected: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Said:
    """The annotations of a track.

    Attributes:
      weights: weight of each tag, including implied parents.
      one_of: for each earlier id that was split, the tags of which at least one applies.
      unknown: tags that the taxonomy does not have.
      redirected: earlier ids.
    """

    weights: dict[str, float]
    one_of: list[frozenset[str]]
    unknown: set[str]
    redirected: set[str]


def encode_targets(tags: Sequence[tuple[str, float | None]], taxonomy: Taxonomy) -> Labels:
    """Converts the annotations of a track to labels.

    A category is known only if the track is annotated in it.

    - In a `multilabel` category, weights are soft targets. A parent's target is at least that of its children.
    - A `multiclass` category needs exactly one tag with a weight over 0, which becomes the target. Dropped tags count.
      Otherwise the category is masked.
    - A `binary` category follows from its own tags and from the rules `any_of` and `none_of`. Evidence for both sides
      that does not add up to 1 is a conflict.

    An earlier id counts for the tag that replaces it. If it was split, at least one of several tags applies, and it is
    not known which: they are masked, and what they all imply applies. One of them that is annotated, too, decides.

    Args:
      tags: (id, alias or earlier id, weight 0..1; None counts as 1).
      taxonomy: defines the order, kinds, parents, rules and redirects.
    """
    said = _said(tags, taxonomy)
    targets = np.zeros(len(taxonomy.tags), np.float32)
    mask = np.zeros(len(taxonomy.tags), np.float32)
    conflicts = []
    concerned = {name for tag in said.weights for name in taxonomy.concerned.get(tag, ())}
    concerned |= {name for tags_ in said.one_of if (name := _category_of(tags_)) is not None}
    for category in taxonomy.categories:
        if category.name not in concerned:
            continue
        values, clash = _category_targets(category, said)
        if clash:
            conflicts.append(category.name)
        if values is not None:
            targets[taxonomy.slices[category.name]] = values
            mask[taxonomy.slices[category.name]] = 1
    mask[_undecided(said, taxonomy)] = 0
    return Labels(
        targets=targets,
        mask=mask,
        conflicts=tuple(conflicts),
        unknown=tuple(sorted(said.unknown)),
        redirected=tuple(sorted(said.redirected)),
    )


def _said(tags: Sequence[tuple[str, float | None]], taxonomy: Taxonomy) -> _Said:
    said = _Said(weights={}, one_of=[], unknown=set(), redirected=set())
    for name, weight in tags:
        amount = 1.0 if weight is None else float(weight)
        if not taxonomy.knows(name):
            said.unknown.add(name)
            continue
        new = taxonomy.replaced.get(name, ())
        if new:
            said.redirected.add(name)
        if len(new) > 1 and amount > 0:
            said.one_of.append(frozenset(new))
        for one in (name, *(new if amount == 0 else ())):  # without the earlier tag, none of those that replace it
            for meant in _meant(one, taxonomy):
                said.weights[meant] = max(said.weights.get(meant, 0.0), amount)
    return said


def _meant(name: str, taxonomy: Taxonomy) -> set[str]:
    """The annotated name itself, which rules may have, and the ids of the tags that it implies."""
    dropped = [taxonomy.dropped[name].id] if name in taxonomy.dropped else []
    return {name, *dropped, *(taxonomy.tag_ids[i] for i in taxonomy.implied(name))}


def _category_of(tags: frozenset[str]) -> str | None:
    """The category of all tags, in which one of them then applies; None if they have several."""
    names = {tag.partition("/")[0] for tag in tags}
    return names.pop() if len(names) == 1 else None


def _undecided(said: _Said, taxonomy: Taxonomy) -> list[int]:
    """Positions of the tags that may apply because an earlier id was split, and of which no annotation says it."""
    places = set()
    for tags in said.one_of:
        if not any(said.weights.get(tag, 0.0) > 0 for tag in tags):
            places |= {place for tag in tags for place in taxonomy.implied(tag)}
    return sorted(place for place in places if said.weights.get(taxonomy.tag_ids[place], 0.0) == 0)


def _category_targets(category: Category, said: _Said) -> tuple[list[float] | None, bool]:
    """Targets of the tags of an annotated category (None if unknown), and whether the annotations contradict."""
    if category.kind == "binary":
        return _binary(category.tags, said.weights)
    amounts = [said.weights.get(tag.id, 0.0) for tag in category.tags]
    if category.kind == "multilabel":
        return amounts, False
    applying = {tag.id for tag in (*category.tags, *category.dropped) if said.weights.get(tag.id, 0.0) > 0}
    split = (tags for tags in said.one_of if _category_of(tags) == category.name)
    clash = len(applying) > 1 or (bool(applying) and not all(applying <= tags for tags in split))
    return ([float(amount > 0) for amount in amounts] if any(amounts) and not clash else None), clash


def _binary(tags: Sequence[Tag], said: Mapping[str, float]) -> tuple[list[float] | None, bool]:
    """Targets of a binary category by the evidence for and against its first tag, and whether they contradict."""
    first = tags[0]
    second = tags[1] if len(tags) == 2 else None
    yes = _strongest(said, (first.id, *first.any_of, *(second.none_of if second else ())))
    no = _strongest(said, ((second.id, *second.any_of) if second else ()) + first.none_of)
    if said.get(first.id) == 0:  # annotated as not applying
        no = 1.0
    if second is not None and said.get(second.id) == 0:
        yes = 1.0
    if yes == no == 0:
        return None, False
    if yes and no and abs(yes + no - 1) > 1e-6:
        return None, True
    target = yes if yes else 1 - no
    return ([target] if second is None else [target, 1 - target]), False


def _strongest(said: Mapping[str, float], tags: Sequence[str]) -> float:
    return max((said.get(tag, 0.0) for tag in tags), default=0.0)
