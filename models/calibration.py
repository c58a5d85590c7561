"""From scores to probabilities and decisions: Platt scaling, temperatures and thresholds, fitted on validation."""

import dataclasses

import numpy as np

from models.descent import minimise
from models.heads import Group, Heads, Layout, sigmoid
from models.logistic import row_losses
from models.metrics import POSITIVE_FROM, f1_curve

MIN_CALIBRATION = 10
"""Positives and negatives (multiclass: known tracks) that a validation split needs for a tag to be calibrated."""

MIN_THRESHOLD = 5
"""Positives and negatives that a validation split needs for a tag's threshold to be chosen on it."""

DEFAULT_THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Threshold:
    """A tag's threshold and the rule that it comes from."""

    value: float
    rule: str


def calibrate(heads: Heads, logits: np.ndarray, targets: np.ndarray, mask: np.ndarray, layout: Layout) -> Heads:
    """Heads with slope and offset fitted on validation logits, targets and mask, all [n, T], where support suffices."""
    slope, offset = np.ones(layout.size), np.zeros(layout.size)
    for group in layout.groups:
        columns = list(group.columns)
        if group.kind == "multiclass":
            slope[columns] = temperature(logits[:, columns], targets[:, columns], mask[:, columns])
            continue
        for column in columns[:1] if group.kind == "binary" else columns:
            rows = mask[:, column] > 0
            slope[column], offset[column] = platt(logits[rows, column], targets[rows, column])
    return dataclasses.replace(heads, slope=slope, offset=offset)


def platt(logits: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """Slope and offset that make one tag's logits probabilities; (1, 0) where support is too small.

    A normal prior of deviation 1 on log slope and offset keeps small samples near the identity and the slope positive.
    """
    positives = int(np.sum(targets >= POSITIVE_FROM))
    if min(positives, len(targets) - positives) < MIN_CALIBRATION:
        return 1.0, 0.0

    def objective(params: np.ndarray) -> tuple[float, np.ndarray]:
        slope = np.exp(params[0])
        scaled = slope * logits + params[1]
        losses, _ = row_losses(scaled[:, None], targets[:, None], np.ones((len(targets), 1)), False)
        error = sigmoid(scaled) - targets
        return float(losses.sum()) + 0.5 * float(params @ params), np.array(
            [np.sum(error * slope * logits), np.sum(error)]
        ) + params

    found = minimise(objective, np.zeros(2), tolerance=1e-10, max_iterations=100)
    return float(np.exp(found[0])), float(found[1])


def temperature(logits: np.ndarray, targets: np.ndarray, mask: np.ndarray) -> float:
    """Slope (1 / temperature) of a softmax's logits; 1 where fewer than `MIN_CALIBRATION` tracks are known."""
    known = mask.min(axis=1) > 0
    if known.sum() < MIN_CALIBRATION:
        return 1.0
    logits, targets = logits[known], targets[known]

    def objective(params: np.ndarray) -> tuple[float, np.ndarray]:
        scaled = np.exp(params[0]) * logits
        losses, slopes = row_losses(scaled, targets, np.ones_like(targets), True)
        return float(losses.sum()) + 0.5 * float(params @ params), np.array([np.sum(slopes * scaled)]) + params

    return float(np.exp(minimise(objective, np.zeros(1), tolerance=1e-10, max_iterations=100)[0]))


def kinds(heads: Heads, layout: Layout) -> list[str]:
    """How each tag's score was calibrated: `identity`, `platt` or `temperature`."""
    found = ["identity"] * layout.size
    for group in layout.groups:
        for column in group.columns:
            # The second tag of a binary pair is 1 minus the first, calibrated with it.
            source = group.columns[0] if group.kind == "binary" else column
            if (heads.slope[source], heads.offset[source]) != (1.0, 0.0):
                found[column] = "temperature" if group.kind == "multiclass" else "platt"
    return found


def thresholds(scores: np.ndarray, targets: np.ndarray, mask: np.ndarray, layout: Layout) -> list[Threshold]:
    """A threshold per tag on published validation scores [n, T]: best F1, or 0.5 where support is too small."""
    found = [Threshold(value=DEFAULT_THRESHOLD, rule="default")] * layout.size
    for group in layout.groups:
        for column in group.columns:
            rows = mask[:, column] > 0
            found[column] = _threshold(group, scores[rows, column], targets[rows, column])
        if group.kind == "binary" and len(group.columns) == 2:
            first, second = group.columns
            # Scores are rounded to 1e-4: a step further, a track on the boundary gets the first tag and not both.
            found[second] = Threshold(value=round(1.0 - found[first].value + 1e-4, 4), rule="complement")
    return found


def _threshold(group: Group, scores: np.ndarray, targets: np.ndarray) -> Threshold:
    if group.kind == "multiclass":
        return Threshold(value=DEFAULT_THRESHOLD, rule="highest")
    truth = targets >= POSITIVE_FROM
    if min(truth.sum(), (~truth).sum()) < MIN_THRESHOLD:
        return Threshold(value=DEFAULT_THRESHOLD, rule="default")
    values, f1 = f1_curve(truth, scores)
    best = int(np.argmax(f1))
    # Half-way to the next lower score: no track of the validation split sits on the threshold itself.
    below = values[best + 1] if best + 1 < len(values) else values[best]
    return Threshold(value=float(round((values[best] + below) / 2, 4)), rule="best_f1")
