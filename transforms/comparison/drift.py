"""Drift per tag between two snapshots, from integer counts of their buckets: the order of the buckets is free.

The population stability index compares the shares of the scores in bins that hold about equal numbers of the earlier
scores (Siddiqi, Credit Risk Scorecards, 2006). It is about 0 for equal distributions, and above 0.25 it is usually
taken for another distribution. Of n and m independent scores of one distribution, its mean is about
(B - 1) (1/n + 1/m) with B bins (Yurdakul and Naranjo, Statistical properties of the population stability index, Journal
of Risk Model Validation 14(4), 2020).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from transforms.comparison.scores import NO_ROW, UNIT, TagScores
from transforms.comparison.tag_changes import Integers, stability_index

FINE_BINS = 32
"""Bins in which scores are counted. Their edges have equal distances in the logit, because most scores are near 0 or 1.
They are joined to at most `COARSE_BINS`."""

LAST_LOGIT = 4.0
"""Logit of the last edge. Scores under 0.018, and those over 0.982, are not told apart: they differ between two fits of
one head on the same labels, and have no effect."""

COARSE_BINS = 10
"""Most bins of the population stability index."""

BEFORE, AFTER, SAME_BEFORE, SAME_AFTER = range(4)
"""Groups of scores: all tracks of the earlier and of the later snapshot, and the same for unchanged tracks only."""


def _bin_of_scores() -> npt.NDArray[np.int8]:
    """Bin of each published score, which is a multiple of 1 / UNIT: int8 [UNIT + 1]."""
    logits = np.linspace(-LAST_LOGIT, LAST_LOGIT, FINE_BINS - 1)
    edges = np.rint(UNIT / (1 + np.exp(-logits))).astype(np.int64)
    found: npt.NDArray[np.int8] = np.searchsorted(edges, np.arange(UNIT + 1), side="right").astype(np.int8)
    return found


_BIN = _bin_of_scores()


class UnchangedPairs(NamedTuple):
    """Places of the unchanged tracks in the earlier and in the later scores: int64 [unchanged] each."""

    before: Integers
    after: Integers


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TagDrift:
    """Sums over the tracks of any number of buckets.

    Attributes:
      tags: ids of the tags that both snapshots have.
      scores: number of scores per bin: int64 [4 groups, tags, FINE_BINS].
      positives: number of tracks with the tag: int64 [4 groups, tags].
      moments: sums over unchanged tracks of x, y, x*x, y*y and x*y: int64 [5, tags], of the scores x in the earlier and
        y in the later snapshot, times UNIT.
    """

    tags: tuple[str, ...]
    scores: Integers
    positives: Integers
    moments: Integers

    @classmethod
    def none(cls, tags: Sequence[str]) -> Self:
        """Sums over no track."""
        return cls(
            tags=tuple(tags),
            scores=np.zeros((4, len(tags), FINE_BINS), np.int64),
            positives=np.zeros((4, len(tags)), np.int64),
            moments=np.zeros((5, len(tags)), np.int64),
        )

    def __add__(self, other: Self) -> Self:
        return dataclasses.replace(
            self,
            scores=self.scores + other.scores,
            positives=self.positives + other.positives,
            moments=self.moments + other.moments,
        )

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Tag -> what its gates need: counts, stability indices and correlation, null where undefined."""
        tracks = self.scores.sum(axis=2)
        every = coarse_stability(self.scores[BEFORE], self.scores[AFTER])
        same = coarse_stability(self.scores[SAME_BEFORE], self.scores[SAME_AFTER])
        correlations = _correlations(self.moments, tracks[SAME_BEFORE])
        return {
            tag: {
                "tracks": [int(n) for n in tracks[[BEFORE, AFTER], i]],
                "positives": [int(n) for n in self.positives[[BEFORE, AFTER], i]],
                "stability_index": _rounded(every[i]),
                "unchanged": {
                    "tracks": int(tracks[SAME_BEFORE, i]),
                    "positives": [int(n) for n in self.positives[[SAME_BEFORE, SAME_AFTER], i]],
                    "stability_index": _rounded(same[i]),
                    "correlation": _rounded(correlations[i]),
                },
            }
            for i, tag in enumerate(self.tags)
        }


def measure_drift(
    tags: Sequence[str],
    before: TagScores,
    after: TagScores,
    pairs: UnchangedPairs,
    ruled: npt.NDArray[np.bool_] | None = None,
) -> TagDrift:
    """The sums of one bucket.

    Args:
      tags: ids of the rows of the matrices.
      before: scores of all tagged tracks of the bucket in the earlier snapshot.
      after: the same for the later snapshot.
      pairs: tracks that both snapshots tagged and whose source did not change.
      ruled: which tags follow from rules: bool [tags]. Of these, only tracks with a row are compared: the others were
        not measured, and a first measurement is no drift. None: no tag does.
    """
    drift = TagDrift.none(tags)
    for tag in range(len(tags)):  # the temporary arrays are those of one tag
        old, new = before.scores[tag].astype(np.int64), after.scores[tag].astype(np.int64)
        was, is_ = before.positive[tag], after.positive[tag]
        x, y, had, has = old[pairs.before], new[pairs.after], was[pairs.before], is_[pairs.after]
        if ruled is not None and ruled[tag]:
            both = (x != NO_ROW) & (y != NO_ROW)
            x, y, had, has = x[both], y[both], had[both], has[both]
            old, new = old[old != NO_ROW], new[new != NO_ROW]
        for group, scores in enumerate((old, new, x, y)):
            drift.scores[group, tag] = _counts(scores)
        drift.positives[:, tag] = [np.count_nonzero(mask) for mask in (was, is_, had, has)]
        x, y = np.maximum(x, 0), np.maximum(y, 0)
        drift.moments[:, tag] = x.sum(), y.sum(), x @ x, y @ y, x @ y
    return drift


def _counts(scores: Integers) -> Integers:
    """Scores per bin. A row that is not published has a score below all published ones, so it counts in the first."""
    return np.bincount(_BIN[np.where(scores == NO_ROW, 0, scores)], minlength=FINE_BINS)


def coarse_stability(before: Integers, after: Integers) -> npt.NDArray[np.float64]:
    """Population stability index of each tag, from counts [tags, FINE_BINS]; NaN for a tag without scores.

    No share is below that of half a track, so that an empty bin of a small table does not decide.

    >>> counts = np.array([[60, 40] + [0] * 30])
    >>> coarse_stability(counts, counts[:, ::-1]).round(2), coarse_stability(counts, 2 * counts)
    (array([9.78]), array([0.]))
    """
    index = np.full(len(before), np.nan)
    for tag in np.flatnonzero((before.sum(axis=1) > 0) & (after.sum(axis=1) > 0)):
        middle = np.cumsum(before[tag]) - before[tag] / 2
        place = np.minimum((COARSE_BINS * middle / before[tag].sum()).astype(np.int64), COARSE_BINS - 1)
        used = np.unique(place[(before[tag] > 0) | (after[tag] > 0)])
        old, new = (np.bincount(place, counts[tag], COARSE_BINS)[used] for counts in (before, after))
        least = 0.5 / min(old.sum(), new.sum())
        shares = (np.maximum(counts / counts.sum(), least)[None] for counts in (old, new))
        index[tag] = stability_index(*shares)[0]
    return index


def _correlations(moments: Integers, tracks: Integers) -> npt.NDArray[np.float64]:
    """Pearson correlation of the scores of unchanged tracks [tags]; NaN where they are constant on a side."""
    found = np.full(len(tracks), np.nan)
    for tag, count in enumerate(tracks.tolist()):
        x, y, xx, yy, xy = moments[:, tag].tolist()  # Python's integers do not overflow
        spread = (count * xx - x * x) * (count * yy - y * y)
        if spread > 0:
            found[tag] = (count * xy - x * y) / float(spread) ** 0.5
    return found


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
