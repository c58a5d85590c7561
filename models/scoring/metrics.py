"""Masked metrics per tag in vectorised numpy. Importing sklearn.metrics takes up to half a minute."""

import dataclasses
from collections.abc import Mapping

import numpy as np

POSITIVE_FROM = 0.5
"""A track carries the tag if its soft target is at least this weight."""

CALIBRATION_BINS = 10
"""Number of equal-mass bins for the calibration error."""

LEAST_SCORE = 1e-4
"""For log losses, scores are clipped to this distance from 0 and 1, the resolution of published scores."""

MEASURES = ("roc_auc", "pr_auc", "f1", "precision", "recall", "ece")
"""The metrics of a tag."""

TagMetrics = dict[str, float | None]


def counts_from_the_top(truth: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True and false positives at each distinct score, from the highest to the lowest: float64 [distinct] each."""
    order = np.argsort(-scores, kind="stable")
    truth, scores = truth[order], scores[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    true = np.cumsum(truth)[last].astype(np.float64)
    return true, last + 1 - true


def roc_auc(truth: np.ndarray, scores: np.ndarray) -> float | None:
    """Area under the ROC curve of bool [n] and float [n]; ties count half. None if a class is missing."""
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
    """Distinct scores, from the highest to the lowest, and F1 if each is the threshold."""
    true, false = counts_from_the_top(np.asarray(truth, bool), scores)
    return np.unique(scores)[::-1], 2 * true / (true + false + max(np.sum(truth), 1))


def f1(truth: np.ndarray, predicted: np.ndarray) -> float | None:
    """F1 of bool [n] and bool [n]. None if nothing is true and nothing is predicted."""
    total = np.sum(truth) + np.sum(predicted)
    return float(2 * np.sum(truth & predicted) / total) if total else None


def precision(truth: np.ndarray, predicted: np.ndarray) -> float | None:
    """Share of the predicted that are true, bool [n] each. None if nothing is predicted."""
    return float(np.sum(truth & predicted) / np.sum(predicted)) if np.any(predicted) else None


def recall(truth: np.ndarray, predicted: np.ndarray) -> float | None:
    """Share of the true that are predicted, bool [n] each. None if nothing is true."""
    return float(np.sum(truth & predicted) / np.sum(truth)) if np.any(truth) else None


def equal_mass_bins(scores: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """Bin of each score, int [n]; bins have about equal counts. Equal scores share a bin, so order does not matter.

    With bins of equal width, nearly every track of a rare tag would be in the first bin.
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return bins_of_counts(counts, bins)[place]


def bins_of_counts(counts: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """Bin of each distinct score, from the lowest to the highest, given its number of tracks: int [distinct]."""
    middle = np.cumsum(counts) - counts / 2
    found: np.ndarray = np.minimum((bins * middle / max(counts.sum(), 1)).astype(int), bins - 1)
    return found


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """Points of a reliability curve, one per non-empty bin: mean score, mean target, number of tracks; float64 each."""

    score: np.ndarray
    target: np.ndarray
    tracks: np.ndarray


def reliability(targets: np.ndarray, scores: np.ndarray, bins: int = CALIBRATION_BINS) -> Reliability:
    """The reliability curve of soft targets (0 to 1) and scores, float [n] each, in equal-mass bins."""
    places = equal_mass_bins(scores, bins)
    sums = [np.bincount(places, values, bins) for values in (scores, targets, np.ones(len(scores)))]
    score, target, tracks = (values[sums[2] > 0] for values in sums)
    return Reliability(score=score / tracks, target=target / tracks, tracks=tracks)


def expected_calibration_error(targets: np.ndarray, scores: np.ndarray, bins: int = CALIBRATION_BINS) -> float | None:
    """Mean distance between mean score and mean target over equal-mass bins, weighted by tracks. None without tracks.

    Soft targets count by their weight, because a score should be the expected weight. Chance alone causes a distance of
    about sqrt(p (1 - p) / k) with k tracks per bin.
    """
    if not len(scores):
        return None
    curve = reliability(np.asarray(targets, np.float64), scores, bins)
    return float(np.average(np.abs(curve.score - curve.target), weights=curve.tracks))


def mean_calibration_error(targets: np.ndarray, mask: np.ndarray, scores: np.ndarray) -> float | None:
    """Mean calibration error over the tags with known positives and negatives, all [n, T]; None without such a tag."""
    found = []
    for tag, column in enumerate(mask.T):
        rows = np.flatnonzero(column > 0)
        wanted = targets[rows, tag]
        if 0 < np.sum(wanted >= POSITIVE_FROM) < len(rows):
            found.append(expected_calibration_error(wanted, scores[rows, tag].astype(np.float64)))
    return _mean(found)


def log_losses(targets: np.ndarray, mask: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Cross-entropy of each track, mean over its known tags, all [n, T]: float64 [n], NaN if no tag is known."""
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
    """Metrics per tag: areas, calibration error; F1, precision and recall of the decisions; support; known tracks.

    Args:
      targets: soft targets float [n, T].
      mask: 1 if known, [n, T]; unknown pairs are ignored.
      scores: float [n, T].
      positives: bool [n, T].
      decimals: round scores to this many decimals first; None: do not round. They are rounded tag by tag, because a
        copy of all may be large.
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
    """Means over the tags with positives and negatives, and the number of these tags."""
    rated = [m for m in metrics if m["roc_auc"] is not None]
    means = {name: _mean([m[name] for m in rated]) for name in MEASURES}
    return {**means, "tags": len(rated)}


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def accuracy(targets: np.ndarray, mask: np.ndarray, positives: np.ndarray) -> float | None:
    """Share of known rows of a multiclass category whose positive is the true tag, all [n, k]; None without any."""
    rows = mask.min(axis=1) > 0
    if not rows.any():
        return None
    return float(np.mean(targets[rows].argmax(axis=1) == positives[rows].argmax(axis=1)))


def macro_by_split(by_split: Mapping[str, list[TagMetrics]]) -> dict[str, TagMetrics]:
    """Macro metrics of each split."""
    return {split: macro(metrics) for split, metrics in by_split.items()}
