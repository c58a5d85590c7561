"""All metrics of all tags in every resample, computed from weighted counts of each distinct published score.

Tags are processed one by one. Memory is the counts of one tag and of all tags pooled, whatever the number of tracks.
"""

import dataclasses
from collections.abc import Sequence
from typing import Self

import numpy as np

from models.evaluation.resampling import Resamples
from models.scoring.heads import SCORE_DECIMALS
from models.scoring.metrics import CALIBRATION_BINS, POSITIVE_FROM, Reliability, bins_of_counts

STEPS = 10**SCORE_DECIMALS
"""Published scores are integer multiples of 1 / STEPS."""

Samples = dict[str, np.ndarray]
"""Metric -> values in the sample and in each resample, float64 [..., 1 + resamples]; NaN if undefined."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TagRatings:
    """Metrics of every tag and of all tags pooled.

    Attributes:
      tags: metric -> float64 [T, 1 + resamples].
      micro: metric -> float64 [1 + resamples]; each known (track, tag) pair has the same weight.
      support: number of known tracks that carry each tag, int [T].
      known: number of known tracks of each tag, int [T].
      groups: number of artists that the interval of each tag is based on, int [T]: those that have the tag or those
        that lack it, whichever are fewer.
    """

    tags: Samples
    micro: Samples
    support: np.ndarray
    known: np.ndarray
    groups: np.ndarray


def rate_tags(
    targets: np.ndarray, mask: np.ndarray, scores: np.ndarray, positives: np.ndarray, resamples: Resamples
) -> TagRatings:
    """Metrics of scores that are rounded like published ones. All arguments [n, T]: soft targets; `positives` bool."""
    pooled, by_tag, facts = _Counts.none(resamples), [], []
    for tag in range(targets.shape[1]):
        rows = np.flatnonzero(mask[:, tag] > 0)
        drawn, wanted = resamples.of(rows), targets[rows, tag]
        counts = _Counts.of(_steps(scores[rows, tag]), wanted, positives[rows, tag], drawn)
        by_tag.append(counts.metrics())
        pooled.add(counts)
        truth = wanted >= POSITIVE_FROM
        facts.append((truth.sum(), len(rows), min(drawn.distinct(truth), drawn.distinct(~truth))))
    support, known, groups = np.array(facts, int).reshape(-1, 3).T
    return TagRatings(
        tags={name: np.stack([found[name] for found in by_tag]) for name in by_tag[0]},
        micro=pooled.metrics(),
        support=support,
        known=known,
        groups=groups,
    )


def pooled_reliability(
    targets: np.ndarray, mask: np.ndarray, scores: np.ndarray, columns: Sequence[int]
) -> Reliability:
    """The reliability curve of all known pairs of these tags, all [n, T]: equals `metrics.reliability` of the pairs."""
    tracks, carried = np.zeros(STEPS + 1), np.zeros(STEPS + 1)
    for tag in columns:
        rows = np.flatnonzero(mask[:, tag] > 0)
        steps = _steps(scores[rows, tag])
        tracks += np.bincount(steps, minlength=STEPS + 1)
        carried += np.bincount(steps, targets[rows, tag], STEPS + 1)
    places, levels = bins_of_counts(tracks), np.arange(STEPS + 1) / STEPS
    sums = [np.bincount(places, values, CALIBRATION_BINS) for values in (levels * tracks, carried, tracks)]
    score, target, pairs = (values[sums[2] > 0] for values in sums)
    return Reliability(score=score / pairs, target=target / pairs, tracks=pairs)


def _steps(scores: np.ndarray) -> np.ndarray:
    """Scores in units of 1 / STEPS: int [n]."""
    return np.round(scores * float(STEPS)).astype(np.intp)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Counts:
    """Weighted counts of (track, tag) pairs: float64 [levels, 1 + resamples], `called` [2, 1 + resamples].

    Attributes:
      levels: the scores that occur, in units of 1 / STEPS, ascending: int [levels].
      known: pairs with each score.
      true: pairs with each score that carry the tag.
      weight: sum of the soft targets of the pairs with each score.
      called: predicted positives: first the false ones, then the true ones.
    """

    levels: np.ndarray
    known: np.ndarray
    true: np.ndarray
    weight: np.ndarray
    called: np.ndarray

    @classmethod
    def none(cls, resamples: Resamples) -> Self:
        """Counts of 0 for every possible score."""
        width = resamples.weights.shape[1]
        known, true, weight = (np.zeros((STEPS + 1, width)) for _ in range(3))
        return cls(levels=np.arange(STEPS + 1), known=known, true=true, weight=weight, called=np.zeros((2, width)))

    @classmethod
    def of(cls, steps: np.ndarray, targets: np.ndarray, positives: np.ndarray, resamples: Resamples) -> Self:
        """Counts of the pairs of one tag: scores in units of 1 / STEPS, soft targets and decisions, [n] each."""
        occurs = np.bincount(steps, minlength=STEPS + 1) > 0
        levels = np.flatnonzero(occurs)
        place = (np.cumsum(occurs) - 1)[steps]
        truth = targets >= POSITIVE_FROM

        def sums(rows: np.ndarray, values: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
            return resamples.of(rows).sums(values[rows].astype(np.float64), places[rows], count)

        ones = np.ones(len(steps))
        return cls(
            levels=levels,
            known=resamples.sums(ones, place, len(levels)),
            true=sums(truth, ones, place, len(levels)),
            weight=sums(targets != 0, targets, place, len(levels)),
            called=sums(positives, ones, truth.astype(np.intp), 2),
        )

    def add(self, other: "_Counts") -> None:
        """Adds the counts of one tag to these counts, which must have all levels (see `none`)."""
        for name in ("known", "true", "weight"):
            getattr(self, name)[other.levels] += getattr(other, name)
        self.called[:] += other.called

    def metrics(self) -> Samples:
        """Every metric of these pairs: float64 [1 + resamples] each."""
        (false_calls, hits), carried = self.called, self.true.sum(axis=0)
        return {
            **self._areas(carried),
            "ece": self._calibration_error(),
            "f1": _ratio(2 * hits, false_calls + hits + carried),
            "precision": _ratio(hits, false_calls + hits),
            "recall": _ratio(hits, carried),
        }

    def _areas(self, carried: np.ndarray) -> Samples:
        """ROC-AUC and PR-AUC. Only scores of positives contribute."""
        matter = self.true[:, 0] > 0
        true, upto = self.true[matter], np.cumsum(self.known, axis=0)
        total = upto[-1] if len(upto) else np.zeros_like(carried)
        upto = upto[matter]
        under, true_under = upto - self.known[matter], np.cumsum(true, axis=0) - true
        # A negative below a positive counts 1, a negative with the same score 1/2.
        wins = (under - true_under) + (upto - under - true) / 2
        roc = _ratio(np.einsum("kr,kr->r", wins, true), carried * (total - carried))
        # Average precision: sum of precision times the step in recall, from the highest score to the lowest.
        precision = np.divide(carried - true_under, total - under, out=np.zeros_like(true), where=total > under)
        return {"roc_auc": roc, "pr_auc": _ratio(np.einsum("kr,kr->r", precision, true), carried)}

    def _calibration_error(self) -> np.ndarray:
        """Mean distance between score and target over the bins of the sample, which all resamples use."""
        places = np.eye(CALIBRATION_BINS)[:, bins_of_counts(self.known[:, 0])]
        gaps = (places * (self.levels / STEPS)) @ self.known - places @ self.weight
        return _ratio(np.abs(gaps).sum(axis=0), self.known.sum(axis=0))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    found = np.full(part.shape, np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found
