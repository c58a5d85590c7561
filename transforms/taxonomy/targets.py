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
      mask: float32 [tags], 1 if the tag's category is known for this track, else 0.
      conflicts: names of the categories whose annotations contradict their kind. They are masked.
      unknown: tags that the taxonomy does not have, sorted.
    """

    targets: npt.NDArray[np.float32]
    mask: npt.NDArray[np.float32]
    conflicts: tuple[str, ...]
    unknown: tuple[str, ...]


def encode_targets(tags: Sequence[tuple[str, float | None]], taxonomy: Taxonomy) -> Labels:
    """Converts the annotations of a track to labels.

    A category is known only if the track is annotated in it.

    - In a `multilabel` category, weights are soft targets. A parent's target is at least that of its children.
    - A `multiclass` category needs exactly one tag with a weight over 0, which becomes the target. Dropped tags count.
      Otherwise the category is masked.
    - A `binary` category follows from its own tags and from the rules `any_of` and `none_of`. Evidence for both sides
      that does not add up to 1 is a conflict.

    Args:
      tags: (id or alias, weight 0..1; None counts as 1).
      taxonomy: defines the order, kinds, parents and rules.
    """
    said, unknown = _said(tags, taxonomy)
    targets = np.zeros(len(taxonomy.tags), np.float32)
    mask = np.zeros(len(taxonomy.tags), np.float32)
    conflicts = []
    concerned = {name for tag in said for name in taxonomy.concerned.get(tag, ())}
    for category in taxonomy.categories:
        if category.name not in concerned:
            continue
        values, clash = _category_targets(category, said)
        if clash:
            conflicts.append(category.name)
        if values is not None:
            targets[taxonomy.slices[category.name]] = values
            mask[taxonomy.slices[category.name]] = 1
    return Labels(targets=targets, mask=mask, conflicts=tuple(conflicts), unknown=unknown)


def _said(tags: Sequence[tuple[str, float | None]], taxonomy: Taxonomy) -> tuple[dict[str, float], tuple[str, ...]]:
    """Weights of all annotated tags, including implied parents; and the tags that the taxonomy does not have."""
    said: dict[str, float] = {}
    unknown = set()
    for name, weight in tags:
        amount = 1.0 if weight is None else float(weight)
        if not taxonomy.knows(name):
            unknown.add(name)
            continue
        dropped = [taxonomy.dropped[name].id] if name in taxonomy.dropped else []
        for meant in {name, *dropped, *(taxonomy.tag_ids[i] for i in taxonomy.implied(name))}:
            said[meant] = max(said.get(meant, 0.0), amount)
    return said, tuple(sorted(unknown))


def _category_targets(category: Category, said: Mapping[str, float]) -> tuple[list[float] | None, bool]:
    """Targets of the tags of an annotated category (None if unknown), and whether the annotations contradict."""
    if category.kind == "binary":
        return _binary(category.tags, said)
    amounts = [said.get(tag.id, 0.0) for tag in category.tags]
    if category.kind == "multilabel":
        return amounts, False
    applying = sum(amount > 0 for amount in amounts)
    several = applying + sum(said.get(tag.id, 0.0) > 0 for tag in category.dropped) > 1
    return ([float(amount > 0) for amount in amounts] if applying and not several else None), several


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
