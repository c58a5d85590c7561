"""Labelled rows, and counts over them. Arrays are read block by block, so that memory-mapped arrays stay on disk."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from models.scoring.heads import Group, fitted_columns

COUNTED_TOGETHER = 16_384
"""Rows per block."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LabelledRows:
    """Labelled rows.

    Attributes:
      embeddings: [n, D], of any float type.
      targets: soft targets [n, T].
      mask: [n, T], 1 if known; of any number type.
      groups: the group (artist) of each row, which cross-validation keeps in one fold. Empty: each row is a group.
    """

    embeddings: np.ndarray
    targets: np.ndarray
    mask: np.ndarray
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.embeddings)

    def joined(self, other: "LabelledRows") -> "LabelledRows":
        """These rows, followed by the other ones."""
        parts = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("embeddings", "targets", "mask")
        }
        return LabelledRows(**parts, groups=self.groups + other.groups)

    def rows(self, chosen: np.ndarray) -> "LabelledRows":
        """The rows with these numbers, in memory."""
        groups = tuple(self.groups[row] for row in chosen) if self.groups else ()
        return LabelledRows(
            embeddings=self.embeddings[chosen], targets=self.targets[chosen], mask=self.mask[chosen], groups=groups
        )

    def tags(self, columns: Sequence[int]) -> "LabelledRows":
        """The same rows with these tags only."""
        return dataclasses.replace(self, targets=self.targets[:, columns], mask=self.mask[:, columns])

    def sample(self, most: int) -> "LabelledRows":
        """At most `most` rows; see `sample`."""
        return self if len(self) <= most else self.rows(sample(np.arange(len(self)), most))


def sample(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of these row numbers: a uniform sample with a fixed seed, in the original order."""
    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(0).choice(len(rows), most, replace=False))]


def standardiser(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each value, float64 [D] each. The deviation of a constant value is set to 1."""
    mean, squares = (np.zeros(embeddings.shape[1]) for _ in range(2))
    for block in _blocks(embeddings):
        mean += block.sum(axis=0) / len(embeddings)
    for block in _blocks(embeddings):
        squares += np.sum((block - mean) ** 2, axis=0) / len(embeddings)
    std = np.sqrt(squares)
    return mean, np.where(std > 1e-6, std, 1.0)


def tag_counts(targets: np.ndarray, mask: np.ndarray, positive_from: float | None = None) -> np.ndarray:
    """Known rows that carry each tag, float64 [T].

    Each row counts by its target; with `positive_from`, it counts 1 if the target is at least that.
    """
    found = np.zeros(targets.shape[1])
    for y, known in zip(_blocks(targets), _blocks(mask), strict=True):
        found += np.sum((y if positive_from is None else y >= positive_from) * (known > 0), axis=0)
    return found


def known_counts(mask: np.ndarray) -> np.ndarray:
    """Number of rows in which each tag is known: float64 [T]."""
    return sum(((block > 0).sum(axis=0).astype(np.float64) for block in _blocks(mask)), np.zeros(mask.shape[1]))


def known_categories(mask: np.ndarray, groups: Sequence[Group]) -> np.ndarray:
    """Whether a tag of each category is known in each row: bool [n, categories]."""
    found = np.zeros((len(mask), len(groups)), bool)
    for begin in range(0, len(mask), COUNTED_TOGETHER):
        block = np.asarray(mask[begin : begin + COUNTED_TOGETHER]) > 0
        for place, group in enumerate(groups):
            found[begin : begin + COUNTED_TOGETHER, place] = block[:, fitted_columns(group)].any(axis=1)
    return found


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    for begin in range(0, len(values), COUNTED_TOGETHER):
        yield np.asarray(values[begin : begin + COUNTED_TOGETHER], np.float64)
