"""Sums over the examples of a dataset that do not depend on the order of addition."""

import dataclasses
import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from transforms.catalog.limits import NAME_CHARS
from transforms.dataset.example import Example
from transforms.splits.by_artist import SPLITS
from transforms.splits.survey import MOST_UNKNOWN

_FIXED_POINT = 2**20
"""Mels are summed as whole multiples of 1 / _FIXED_POINT, so that totals do not depend on the order."""

Exclusion = Literal["unlabelled", "official", "tied"]


@dataclasses.dataclass(kw_only=True)
class DatasetStats:
    """Sums over examples. All of them are whole numbers, so that totals do not depend on the order.

    Attributes:
      splits: split -> number of examples.
      positive: split -> int64 [tags], number of examples that carry the tag.
      known: split -> int64 [tags], number of examples for which the tag's category is known.
      frames: number of frames of the training split's patches.
      mel_sums: fixed-point sums of the mels over these frames.
      mel_squares: fixed-point sums of their squares.
      conflicts: category -> number of examples with contradictory annotations.
      unknown: tag that the taxonomy does not have -> number of examples, see `unknown_tags`.
      redirected: earlier id of a tag that was replaced -> number of examples.
      outcomes: `catalog`, `examples`, `rejected`, `none` -> number of tracks.
      rejects: reason -> number of tracks.
      none: reason for leaving tracks out -> number of tracks.
    """

    splits: Counter[str] = dataclasses.field(default_factory=Counter)
    positive: dict[str, npt.NDArray[np.int64]] = dataclasses.field(default_factory=dict)
    known: dict[str, npt.NDArray[np.int64]] = dataclasses.field(default_factory=dict)
    frames: int = 0
    mel_sums: list[int] = dataclasses.field(default_factory=list)
    mel_squares: list[int] = dataclasses.field(default_factory=list)
    conflicts: Counter[str] = dataclasses.field(default_factory=Counter)
    unknown: Counter[str] = dataclasses.field(default_factory=Counter)
    redirected: Counter[str] = dataclasses.field(default_factory=Counter)
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)
    rejects: Counter[str] = dataclasses.field(default_factory=Counter)
    none: Counter[str] = dataclasses.field(default_factory=Counter)

    def add_example(
        self,
        split: str,
        example: Example,
        conflicts: Iterable[str],
        unknown: Iterable[str],
        redirected: Iterable[str] = (),
    ) -> None:
        """Counts one example, and the conflicts, unknown tags and earlier ids of its labels."""
        self.splits[split] += 1
        self.outcomes.update(("catalog", "examples"))
        zero = np.zeros(len(example.targets), np.int64)
        self.positive[split] = self.positive.get(split, zero) + (example.targets > 0)
        self.known[split] = self.known.get(split, zero) + (example.mask > 0)
        self.conflicts.update(conflicts)
        self.unknown.update(_cut_name(tag) for tag in unknown)
        self.redirected.update(redirected)
        if split == "train":
            self._add_mels(example.patches.astype(np.float64))

    def _add_mels(self, mels: npt.NDArray[np.float64]) -> None:
        self.frames += mels.shape[0] * mels.shape[1]
        self.mel_sums = _added(self.mel_sums, _fixed(mels.sum(axis=(0, 1))))
        self.mel_squares = _added(self.mel_squares, _fixed(np.square(mels).sum(axis=(0, 1))))

    def add_reject(self, reason: str) -> None:
        """Counts one track that has no features."""
        self.outcomes.update(("catalog", "rejected"))
        self.rejects[reason] += 1

    def add_none(self, why: Exclusion) -> None:
        """Counts one track that is in no split."""
        self.outcomes.update(("catalog", "none"))
        self.none[why] += 1

    def unknown_tags(self) -> dict[str, int]:
        """Tags that the taxonomy does not have: the first `MOST_UNKNOWN` in order of their names, cut if long.

        Their counts are exact and do not depend on the order of addition, because a name is left out only if so many
        names come before it.
        """
        return {tag: self.unknown[tag] for tag in heapq.nsmallest(MOST_UNKNOWN, self.unknown)}

    def mel_moments(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of each mel band over the training split. Empty without training examples."""
        scale = self.frames * _FIXED_POINT
        means = [total / scale for total in self.mel_sums]
        deviations = [
            max(square / scale - mean * mean, 0.0) ** 0.5 for square, mean in zip(self.mel_squares, means, strict=True)
        ]
        return tuple(means), tuple(deviations)

    def to_json(self) -> dict[str, Any]:
        """The sums as a JSON object."""
        return {
            **{name: dict(getattr(self, name)) for name in _COUNTERS},
            "positive": {split: row.tolist() for split, row in self.positive.items()},
            "known": {split: row.tolist() for split, row in self.known.items()},
            "frames": self.frames,
            "mel_sums": self.mel_sums,
            "mel_squares": self.mel_squares,
        }

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The sums that `to_json` wrote."""
        counters = {name: Counter(obj.get(name, {}) if name in _LATER else obj[name]) for name in _COUNTERS}
        arrays = {
            name: {split: np.array(row, np.int64) for split, row in obj[name].items()} for name in ("positive", "known")
        }
        return cls(**{**obj, **counters, **arrays})

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """The sum of all parts. It does not depend on their order."""
        total = cls()
        for part in parts:
            total.add(part)
        return total

    def add(self, part: Self) -> None:
        """Adds another sum to this one."""
        for name in _COUNTERS:
            getattr(self, name).update(getattr(part, name))
        if len(self.unknown) > 2 * MOST_UNKNOWN:  # rarely, because it takes time
            self.unknown = Counter(self.unknown_tags())
        for split in part.positive:
            self.positive[split] = self.positive.get(split, 0) + part.positive[split]
            self.known[split] = self.known.get(split, 0) + part.known[split]
        self.frames += part.frames
        self.mel_sums = _added(self.mel_sums, part.mel_sums)
        self.mel_squares = _added(self.mel_squares, part.mel_squares)


_COUNTERS = ("splits", "conflicts", "unknown", "redirected", "outcomes", "rejects", "none")
_LATER = ("redirected",)
"""Sums that reports of earlier versions do not have."""


def _cut_name(tag: str) -> str:
    return tag if len(tag) <= NAME_CHARS else f"{tag[: NAME_CHARS - 3]}..."


def _fixed(values: npt.NDArray[np.float64]) -> list[int]:
    return [round(value * _FIXED_POINT) for value in values.tolist()]


def _added(a: Sequence[int], b: Sequence[int]) -> list[int]:
    return [x + y for x, y in zip(a, b, strict=True)] if a and b else list(a or b)


def split_columns(values: dict[str, npt.NDArray[np.int64]], tags: int) -> dict[str, tuple[int, ...]]:
    """Counts of every split as plain integers; 0 if a split has no examples."""
    return {split: tuple(values[split].tolist() if split in values else [0] * tags) for split in SPLITS}
