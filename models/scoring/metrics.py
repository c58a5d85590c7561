"""Ranking metrics per tag, masked: own vectorised numpy (importing sklearn.metrics takes up to half a minute)."""

import dataclasses
from collections.abc import Mapping

import numpy as np

POSITIVE_FROM = 0.5
"""A soft target counts as carrying the tag from this weight on."""

CALIBRATION_BINS = 10
"""Bins of equal numbers of tracks that calibration is looked at in."""

LEAST_SCORE = 1e-4
"""Scores nearer to 0 or 1 than they are published count as this far from it where they are wrong."""

MEASURES = ("roc_auc", "pr_auc", "f1", "precision", "recall", "ece")
"""What is measured of a tag."""

TagMetrics = dict[str, float | None]


def counts_from_the_top(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True and false positives at each distinct score from the highest down: float64 [distinct] each."""
    order = np.argsort(-scores, kind="stable")
    truth, scores = truth[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    true = np.cumsum(truth)[last].astype(np.float64)
    return true, last + 1 - true


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve of bool [n] and float [n]; ties count half. None unless both classes occur."""
    truth = np.asarray(truth, bool)
    if truth.all() or not truth.any():
        return None
    true, false = counts_from_the_top(truth, scores)
    return float(np.trapezoid(np.append(0, true / true[-1]), np.append(0, false / false[-1])))


def pr_auc(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """Average precision: sum of precision times the step in recall. None without a positive."""
    truth = np.asarray(truth, bool)
    if not truth.any():
        return None
    true, false = counts_from_the_top(truth, scores)
    steps = np.diff(true, prepend=0) / true[-1]
    return float(np.sum(steps * true / (true + false)))


def f1_curve(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct scores from the highest down and F1 of calling everything at or over each positive."""
    true, false = counts_from_the_top(np.asarray(truth, bool), scores)
    return np.unique(scores)[::-1], 2 * true / (true + false + max(np.sum(truth), 1))


def f1(truth: np.ndarray, predicted: np.ndarray) -> float | None:
    """F1 of bool [n] and bool [n]. None without a positive on either side."""
    total = np.sum(truth) + np.sum(predicted)
    return float(2 * np.sum(truth & predicted) / total) if total else None


def precision(truth: np.ndarray, predicted: np.ndarray) -> float | None:
    """Share of the predicted that are true, bool [n] each. None where nothing is predicted."""
    return float(np.sum(truth & predicted) / np.sum(predicted)) if np.any(predicted) else None


def recall(truth: np.ndarray, predicted: np.ndarray) -> float | None:
    """Share of the true that are predicted, bool [n] each. None without a true one."""
    return float(np.sum(truth & predicted) / np.sum(truth)) if np.any(truth) else None


def equal_mass_bins(scores: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """Bin of each score: int [n], about equally many in each. Equal scores share a bin, so order plays no part.

    Bins of equal width would put nearly every track of a rare tag into the first.
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return bins_of_counts(counts, bins)[place]


def bins_of_counts(counts: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """Bin of each distinct score, from the lowest up, that so many tracks have: int [distinct]."""
    middle = np.cumsum(counts) - counts / 2
    found: np.ndarray = np.minimum((bins * middle / max(counts.sum(), 1)).astype(int), bins - 1)
    return found


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """Points of a reliability curve, one per bin that holds tracks: mean score, mean target, tracks; float64 each."""

    score: np.ndarray
    target: np.ndarray
    tracks: np.ndarray


def reliability(targets: np.ndarray, scores: np.ndarray, bins: int = CALIBRATION_BINS) -> Reliability:
    """The reliability curve of soft targets in 0 to 1 and scores, float [n] each, in equal-mass bins."""
    places = equal_mass_bins(scores, bins)
    sums = [np.bincount(places, values, bins) for values in (scores, targets, np.ones(len(scores)))]
    score, target, tracks = (values[sums[2] > 0] for values in sums)
    return Reliability(score=score / tracks, target=target / tracks, tracks=tracks)


def expected_calibration_error(targets: np.ndarray, scores: np.ndarray, bins: int = CALIBRATION_BINS) -> float | None:
    """Mean distance of mean score and mean target over equal-mass bins, weighted by tracks. None without a track.

    Soft targets count by their weight: a score is meant to be the expected weight. Chance alone leaves some distance:
    with k tracks a bin about sqrt(p (1 - p) / k).
    """
    if not len(scores):
        return None
    curve = reliability(np.asarray(targets, np.float64), scores, bins)
    return float(np.average(np.abs(curve.score - curve.target), weights=curve.tracks))


def mean_calibration_error(targets: np.ndarray, mask: np.ndarray, scores: np.ndarray) -> float | None:
    """Mean calibration error over the tags that have known tracks of both kinds, all [n, T]; None where no tag has."""
    found = []
    for tag, column in enumerate(mask.T):
        rows = np.flatnonzero(column > 0)
        wanted = targets[rows, tag]
        if 0 < np.sum(wanted >= POSITIVE_FROM) < len(rows):
            found.append(expected_calibration_error(wanted, scores[rows, tag].astype(np.float64)))
    return _mean(found)


def log_losses(targets: np.ndarray, mask: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Cross-entropy of each track, mean over its known tags, all [n, T]: float64 [n], NaN where none is known."""
    total, known = np.zeros(len(targets)), np.zeros(len(targets))
    for tag, column in enumerate(mask.T):
        rows = np.flatnonzero(column > 0)
        score = np.clip(scores[rows, tag].astype(np.float64), LEAST_SCORE, 1 - LEAST_SCORE)
        target = targets[rows, tag].astype(np.float64)
        total[rows] -= target * np.log(score) + (1 - target) * np.log(1 - score)
        known[rows] += 1
    means = np.full(len(total), np.nan)
    np.divide(total, known, out=means, where=known > 0)
    return means


def tag_metrics(
    targets: np.ndarray, mask: np.ndarray, scores: np.ndarray, positives: np.ndarray, decimals: int | None = None
) -> list[TagMetrics]:
    """Areas, calibration error, F1, precision and recall at the threshold, support and known tracks per tag.

    Args:
      targets: soft targets float [n, T].
      mask: which are known, [n, T]; unknown ones count nowhere.
      scores: float [n, T].
      positives: bool [n, T].
      decimals: what scores are rounded to first, if at all: tag by tag, since a copy of all may be large.
    """
    known = (np.flatnonzero(column > 0) for column in mask.T)
    return [
        _one_tag(targets[rows, tag], _rounded(scores[rows, tag], decimals), positives[rows, tag])
        for tag, rows in enumerate(known)
    ]


def _rounded(scores: np.ndarray, decimals: int | None) -> np.ndarray:
    found = scores.astype(np.float64)
    return found if decimals is None else np.round(found, decimals, out=found)


def _one_tag(targets: np.ndarray, scores: np.ndarray, positives: np.ndarray) -> TagMetrics:
    truth = targets >= POSITIVE_FROM
    return {
        "roc_auc": roc_auc(truth, scores),
        "pr_auc": pr_auc(truth, scores),
        "f1": f1(truth, positives),
        "precision": precision(truth, positives),
        "recall": recall(truth, positives),
        "ece": expected_calibration_error(targets, scores),
        "support": int(truth.sum()),
        "known": len(truth),
    }


def macro(metrics: list[TagMetrics]) -> TagMetrics:
    """Mean over the tags for which a metric is defined, which are those with positives and negatives."""
    rated = [m for m in metrics if m["roc_auc"] is not None]
    means = {name: _mean([m[name] for m in rated]) for name in MEASURES}
    return {**means, "tags": len(rated)}


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def accuracy(targets: np.ndarray, mask: np.ndarray, positives: np.ndarray) -> float | None:
    """Share of known rows of one multiclass category whose one positive is the true tag: all [n, k]."""
    rows = mask.min(axis=1) > 0
    if not rows.any():
        return None
    return float(np.mean(targets[rows].argmax(axis=1) == positives[rows].argmax(axis=1)))


def macro_by_split(by_split: Mapping[str, list[TagMetrics]]) -> dict[str, TagMetrics]:
    """Macro metrics of each split."""
    return {split: macro(metrics) for split, metrics in by_split.items()}
