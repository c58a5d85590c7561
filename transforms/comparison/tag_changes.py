"""Counts per tag: positives gained and lost, and shifts of scores. All counts are integers, so their order is free."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.comparison.scores import NO_ROW, UNIT, ComparedTags, TagScores
from transforms.schemas.reports import DIFF_TAGS

BINS = 10
"""Bins of equal width from 0 to 1 in which scores are counted for the population stability index."""

LEAST_SHARE = 1e-4
"""Least share of a bin in the population stability index, which has no value for empty bins."""

TAG_COUNTS = (
    *("positives_before", "positives_after", "kept", "gained", "lost", "entered", "left"),
    *("compared", "shifted", "shift", "distance"),
)
"""Names of the counts. `shift` and `distance` are sums of score differences and of their sizes, times UNIT."""

Integers = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TagChanges:
    """Sums over any number of tracks.

    Attributes:
      counts: name of `TAG_COUNTS` -> int64 [tags].
      furthest: greatest size of a score difference, times UNIT: int64 [tags].
      scores_before: int64 [tags, BINS], number of compared scores per bin in the earlier snapshot.
      scores_after: the same of the later snapshot.
    """

    counts: Mapping[str, Integers]
    furthest: Integers
    scores_before: Integers
    scores_after: Integers

    @classmethod
    def none(cls, tags: int) -> Self:
        """Sums over no track."""
        zeros = np.zeros((tags, BINS), np.int64)
        counts = {name: np.zeros(tags, np.int64) for name in TAG_COUNTS}
        return cls(counts=counts, furthest=np.zeros(tags, np.int64), scores_before=zeros, scores_after=zeros)

    def __add__(self, other: Self) -> Self:
        return dataclasses.replace(
            self,
            counts={name: self.counts[name] + other.counts[name] for name in TAG_COUNTS},
            furthest=np.maximum(self.furthest, other.furthest),
            scores_before=self.scores_before + other.scores_before,
            scores_after=self.scores_after + other.scores_after,
        )


class Compared(NamedTuple):
    """What was compared.

    Attributes:
      changes: sums per tag.
      gained: bool [tags, tracks], tags that only the later snapshot gives a track that both tagged.
      lost: the same for the earlier snapshot.
      furthest: int64 [tracks], greatest size of a score difference, times UNIT.
      rescored: bool [tracks], whether any score of a tag of both snapshots differs or is published by one only.
    """

    changes: TagChanges
    gained: npt.NDArray[np.bool_]
    lost: npt.NDArray[np.bool_]
    furthest: Integers
    rescored: npt.NDArray[np.bool_]


def compare_tags(
    before: TagScores, after: TagScores, common: npt.NDArray[np.bool_], of_both: npt.NDArray[np.bool_]
) -> Compared:
    """Compares the tags of tracks.

    Args:
      before: tags in the earlier snapshot.
      after: tags of the same tracks in the later one.
      common: bool [tracks], whether both snapshots tagged the track.
      of_both: bool [tags], whether both snapshots have the tag.
    """
    tags, tracks = before.scores.shape
    rows = []
    gained, lost = after.positive & ~before.positive & common, before.positive & ~after.positive & common
    furthest, rescored = np.zeros(tracks, np.int64), np.zeros(tracks, bool)
    for tag in range(tags):  # the temporary arrays are those of one tag
        old, new = before.scores[tag].astype(np.int64), after.scores[tag].astype(np.int64)
        both = common & (old != NO_ROW) & (new != NO_ROW)
        shift = np.where(both, new - old, 0)
        np.maximum(furthest, np.abs(shift), out=furthest)
        if of_both[tag]:
            rescored |= common & (old != new)
        rows.append(_tag_row(before.positive[tag], after.positive[tag], common, both, old, new, shift))
    return Compared(_sum_rows(rows, tags), gained, lost, furthest, rescored)


def _tag_row(
    was: npt.NDArray[np.bool_],
    is_: npt.NDArray[np.bool_],
    common: npt.NDArray[np.bool_],
    both: npt.NDArray[np.bool_],
    old: Integers,
    new: Integers,
    shift: Integers,
) -> tuple[list[int], int, Integers, Integers]:
    """The counts of one tag, in the order of `TAG_COUNTS`; the furthest shift; the scores per bin on each side."""
    size = np.abs(shift)
    masks = (was, is_, common & was & is_, common & ~was & is_, common & was & ~is_, is_ & ~common, was & ~common)
    counts = [int(np.count_nonzero(mask)) for mask in (*masks, both, shift)]
    bins = [np.bincount(np.minimum(s[both] * BINS // UNIT, BINS - 1), minlength=BINS) for s in (old, new)]
    return [*counts, int(shift.sum()), int(size.sum())], int(size.max(initial=0)), bins[0], bins[1]


def _sum_rows(rows: list[tuple[list[int], int, Integers, Integers]], tags: int) -> TagChanges:
    if not rows:
        return TagChanges.none(tags)
    counts, furthest, before, after = zip(*rows, strict=True)
    columns = np.array(counts, np.int64).T
    return TagChanges(
        counts=dict(zip(TAG_COUNTS, columns, strict=True)),
        furthest=np.array(furthest, np.int64),
        scores_before=np.stack(before).astype(np.int64),
        scores_after=np.stack(after).astype(np.int64),
    )


def stability_index(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Population stability index of counts per bin [tags, bins]: 0 for equal shares; NaN for tags without counts.

    >>> stability_index(np.array([[5, 5]]), np.array([[9, 1]])).round(3)
    array([0.879])
    """
    with np.errstate(invalid="ignore"):
        old, new = (np.maximum(counts / counts.sum(axis=1, keepdims=True), LEAST_SHARE) for counts in (before, after))
    index: npt.NDArray[np.float64] = ((new - old) * np.log(new / old)).sum(axis=1)
    return index


def tag_changes_table(tags: ComparedTags, changes: TagChanges) -> pa.Table:
    """The table `DIFF_TAGS` with one row per tag."""
    counts = changes.counts
    rows = np.maximum(counts["compared"], 1) * UNIT
    known = counts["compared"] > 0
    columns: dict[str, Any] = {
        "tag": tags.ids,
        "category": tags.categories,
        "side": tags.side,
        "threshold_before": tags.before,
        "threshold_after": tags.after,
        **{name: counts[name] for name in TAG_COUNTS[:-2]},
        "mean_shift": np.where(known, counts["shift"] / rows, np.nan),
        "mean_distance": np.where(known, counts["distance"] / rows, np.nan),
        "max_distance": np.where(known, changes.furthest / UNIT, np.nan),
        "stability_index": stability_index(changes.scores_before, changes.scores_after),
        "former_ids": ["|".join(ids) or None for ids in tags.former],
    }
    # NaN becomes null.
    return pa.table([pa.array(columns[f.name], f.type, from_pandas=True) for f in DIFF_TAGS], schema=DIFF_TAGS)
