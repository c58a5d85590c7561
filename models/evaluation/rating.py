"""All metrics of all tags under every resample at once: from weighted counts of each distinct published score."""

import dataclasses

import numpy as np

from models.evaluation.metrics import CALIBRATION_BINS, POSITIVE_FROM, equal_mass_bins
from models.evaluation.resampling import Resamples
from models.heads.heads import SCORE_DECIMALS

STEPS = 10**SCORE_DECIMALS
"""Published scores are whole multiples of 1 / STEPS."""

Samples = dict[str, np.ndarray]
"""Metric -> its value in the sample and in each resample, NaN where undefined."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Rated:
    """Metrics of every tag and of all of them pooled.

    Attributes:
      tags: metric -> float64 [T, 1 + resamples].
      micro: metric -> float64 [1 + resamples], each known (track, tag) pair counted alike.
      support: known tracks that carry each tag, int [T].
      known: known tracks of each tag, int [T].
      groups: artists that an interval of each tag rests on, int [T]: those with the tag, or without it if fewer.
    """

    tags: Samples
    micro: Samples
    support: np.ndarray
    known: np.ndarray
    groups: np.ndarray


def rate(
    targets: np.ndarray, mask: np.ndarray, scores: np.ndarray, positives: np.ndarray, resamples: Resamples
) -> Rated:
    """Rates scores, rounded as they are published, by soft targets and mask; all [n, T], `positives` bool."""
    known, truth = mask > 0, (targets >= POSITIVE_FROM) & (mask > 0)
    steps = np.round(scores * STEPS).astype(int)
    by_tag = [_areas(steps[rows, tag], targets[rows, tag], resamples.of(rows)) for tag, rows in enumerate(known.T)]
    row, _ = np.nonzero(known)
    pooled = _areas(steps[known], targets[known], resamples.of(row))
    hits, called, carried = (resamples.column_sums(values) for values in (truth & positives, positives & known, truth))
    areas = {name: np.stack([found[name] for found in by_tag]) for name in by_tag[0]}
    return Rated(
        tags=areas | _decisions(hits, called, carried),
        micro=pooled | _decisions(hits.sum(axis=0), called.sum(axis=0), carried.sum(axis=0)),
        support=truth.sum(axis=0),
        known=known.sum(axis=0),
        groups=np.array(
            [
                min(resamples.distinct(truth[:, tag]), resamples.distinct(known[:, tag] & ~truth[:, tag]))
                for tag in range(truth.shape[1])
            ]
        ),
    )


def _decisions(hits: np.ndarray, called: np.ndarray, carried: np.ndarray) -> Samples:
    """F1, precision and recall of weighted counts of any one shape."""
    return {
        "f1": _ratio(2 * hits, called + carried),
        "precision": _ratio(hits, called),
        "recall": _ratio(hits, carried),
    }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _areas(steps: np.ndarray, targets: np.ndarray, resamples: Resamples) -> Samples:
    """ROC-AUC, PR-AUC and calibration error of scores (in 1 / STEPS) and targets, [n] each: [1 + resamples] each."""
    truth = targets >= POSITIVE_FROM
    # Only scores that some positive has matter: place 2k + 1 is the k-th of them, even places lie between.
    levels = np.unique(steps[truth])
    below = np.searchsorted(levels, steps)
    place = below + np.searchsorted(levels, steps, side="right")
    true = resamples.of(truth).sums(np.ones(truth.sum()), below[truth], len(levels))
    known = np.cumsum(resamples.sums(np.ones(len(steps)), place, 2 * len(levels) + 1), axis=0)
    total, carried = known[-1], true.sum(axis=0)
    # Negatives below a positive count whole, those at its score half.
    under, upto = known[:-1:2], known[1::2]
    true_under = np.cumsum(true, axis=0) - true
    wins = (under - true_under) + (upto - under - true) / 2
    roc = _ratio(np.einsum("kr,kr->r", wins, true), carried * (total - carried))
    # Average precision is precision times the step in recall, from the highest score down.
    precision = np.divide(carried - true_under, total - under, out=np.zeros_like(true), where=total > under)
    pr = _ratio(np.einsum("kr,kr->r", precision, true), carried)
    return {"roc_auc": roc, "pr_auc": pr, "ece": _calibration_error(steps / STEPS, targets, resamples, total)}


def _calibration_error(scores: np.ndarray, targets: np.ndarray, resamples: Resamples, total: np.ndarray) -> np.ndarray:
    """Mean distance of score and target over bins, which are those of the sample in every resample."""
    gaps = resamples.sums(scores - targets, equal_mass_bins(scores), CALIBRATION_BINS)
    return _ratio(np.abs(gaps).sum(axis=0), total)
