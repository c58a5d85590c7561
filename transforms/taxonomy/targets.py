"""Annotated tags as training targets: what is known of a track, and what is not, category by category."""

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
      targets: float32 [tags], 0 to 1, in the order of `Taxonomy.tags`; 0 where nothing is known.
      mask: float32 [tags], 1 where the category is known for this track, else 0.
      conflicts: names of the categories whose annotations contradict their kind: masked.
      unknown: tags that mean nothing in this taxonomy, in order.
    """

    targets: npt.NDArray[np.float32]
    mask: npt.NDArray[np.float32]
    conflicts: tuple[str, ...]
    unknown: tuple[str, ...]


def encode_targets(tags: Sequence[tuple[str, float | None]], taxonomy: Taxonomy) -> Labels:
    """The labels of a track.

    A category is known only where it was annotated. In a `multilabel` category weights are soft targets and a tag's
    parents apply at least as much as it does. A `multiclass` category needs exactly one tag with a weight over 0, which
    then is its target, else it is masked; dropped tags count among them. A `binary` category follows from its own tags
    and from the rules of `any_of` and `none_of`; evidence for both sides that does not add up to 1 is a conflict.

    Args:
      tags: (id or alias, weight 0..1; None counts as 1).
      taxonomy: gives order, kinds, parents and rules.
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
    """Weight of everything that the annotations say, implied parents included; and the tags that say nothing."""
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
    """Targets of the category's tags, None where it is not known; and whether annotations contradict each other.

    Asked only where something is said about the category.
    """
    if category.kind == "binary":
        return _binary(category.tags, said)
    amounts = [said.get(tag.id, 0.0) for tag in category.tags]
    if category.kind == "multilabel":
        return amounts, False
    applying = sum(amount > 0 for amount in amounts)
    several = applying + sum(said.get(tag.id, 0.0) > 0 for tag in category.dropped) > 1
    return ([float(amount > 0) for amount in amounts] if applying and not several else None), several


def _binary(tags: Sequence[Tag], said: Mapping[str, float]) -> tuple[list[float] | None, bool]:
    """One tag that applies or not, or two of which one applies: the evidence for either side."""
    first = tags[0]
    second = tags[1] if len(tags) == 2 else None
    yes = _strongest(said, (first.id, *first.any_of, *(second.none_of if second else ())))
    no = _strongest(said, ((second.id, *second.any_of) if second else ()) + first.none_of)
    if said.get(first.id) == 0:  # said not to apply
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
