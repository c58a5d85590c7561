"""Platt scaling, temperatures and thresholds, fitted on held-out tracks."""

import dataclasses
from collections.abc import Container, Sequence

import numpy as np

from models.fitting.lbfgs import minimise
from models.fitting.logistic import row_losses
from models.scoring.heads import Group, Heads, Layout, published, row_blocks, sigmoid
from models.scoring.metrics import POSITIVE_FROM, f1_curve

MIN_CALIBRATION = 10
"""Fewest held-out positives, and negatives, to calibrate a tag. Multiclass: fewest held-out known tracks."""

MIN_THRESHOLD = 5
"""Fewest held-out positives, and negatives, to choose a threshold for a tag."""

DEFAULT_THRESHOLD = 0.5

LEAST_SPREAD = 0.1
"""Smallest deviation of a prior, because the estimate of the variation between few tags may be too small."""

MOST_POOLED = 1_000_000
"""Most (track, tag) pairs on which the prior of a category is fitted. More are subsampled."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Threshold:
    """The threshold of a tag and the rule that chose it."""

    value: float
    rule: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prior:
    """Normal prior on (log slope, offset), float64 [2] each. The default is the identity with deviation 1."""

    centre: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(2))
    deviation: np.ndarray = dataclasses.field(default_factory=lambda: np.ones(2))


def calibrate(heads: Heads, logits: np.ndarray, targets: np.ndarray, mask: np.ndarray, layout: Layout) -> Heads:
    """Fits slope and offset of the tags with enough held-out tracks.

    The published score of a parent is at least that of its highest child. Children are therefore calibrated first, and
    a parent's slope and offset are fitted so that the maximum of both scores is a probability.

    Args:
      heads: heads without calibration.
      logits: held-out logits, float [n, T]: each row's come from a head that was not fitted on it.
      targets: [n, T].
      mask: [n, T], 1 if target and logit may be used.
      layout: categories and hierarchy.
    """
    slope, offset = np.ones(layout.size), np.zeros(layout.size)
    for group in layout.groups:
        if group.kind == "multiclass":
            columns = list(group.columns)
            slope[columns] = temperature(logits[:, columns], targets[:, columns], mask[:, columns])
    children: dict[int, list[int]] = {}
    for parent, child in layout.edges:
        children.setdefault(parent, []).append(child)
    fitted = [
        c for g in layout.groups if g.kind != "multiclass" for c in g.columns[: 1 if g.kind == "binary" else None]
    ]
    priors = _priors(logits, targets, mask, layout, children)
    for column in [c for c in fitted if c not in children] + [c for c in children if c in fitted]:
        rows = mask[:, column] > 0
        floor = None
        if column in children:
            now = dataclasses.replace(heads, slope=slope, offset=offset)
            floor = _highest(logits, now, layout, children[column])[rows]
        slope[column], offset[column] = platt(logits[rows, column], targets[rows, column], floor, priors.get(column))
    return dataclasses.replace(heads, slope=slope, offset=offset)


def _priors(
    logits: np.ndarray, targets: np.ndarray, mask: np.ndarray, layout: Layout, parents: Container[int]
) -> dict[int, Prior]:
    """Prior of each tag, estimated from the tags of its category. Only for multilabel tags without children."""
    found: dict[int, Prior] = {}
    for group in layout.groups:
        leaves = [column for column in group.columns if column not in parents]
        if group.kind != "multilabel" or len(leaves) < 2:
            continue
        step = max(1, len(logits) * len(leaves) // MOST_POOLED)
        known = [(column, mask[::step, column] > 0) for column in leaves]
        tags = [(logits[::step, column][rows], targets[::step, column][rows]) for column, rows in known]
        found |= dict.fromkeys(leaves, _prior([tag for tag in tags if _has_support(tag[1])]))
    return found


def _prior(tags: Sequence[tuple[np.ndarray, np.ndarray]]) -> Prior:
    """Centre and deviation of log slope and offset over tags, from (logits, targets) of each tag.

    The deviation is the variation between tags in excess of their sampling variance (DerSimonian and Laird 1986).
    """
    if len(tags) < 2:
        return Prior()
    slope, offset = platt(
        np.concatenate([logits for logits, _ in tags]), np.concatenate([wanted for _, wanted in tags])
    )
    centre = np.array([np.log(slope), offset])
    estimates, weights = [], []
    for logits, targets in tags:
        slope, offset = platt(logits, targets)
        estimates.append((np.log(slope), offset))
        weights.append(1 / _variances(slope, offset, logits))
    away, w = np.array(estimates) - centre, np.array(weights)
    excess = np.sum(w * away**2, axis=0) - (len(tags) - 1)
    spread = np.sqrt(np.maximum(excess / (w.sum(axis=0) - np.sum(w**2, axis=0) / w.sum(axis=0)), 0))
    return Prior(centre=centre, deviation=np.clip(spread, LEAST_SPREAD, 1))


def _variances(slope: float, offset: float, logits: np.ndarray) -> np.ndarray:
    """Sampling variances of log slope and offset: [2]."""
    scaled = slope * logits
    score = sigmoid(scaled + offset)
    weight = score * (1 - score)
    cross = np.sum(weight * scaled)
    information = np.array([[np.sum(weight * scaled**2), cross], [cross, np.sum(weight)]]) + np.eye(2)
    return np.diag(np.linalg.inv(information))


def _has_support(targets: np.ndarray) -> bool:
    positives = int(np.sum(targets >= POSITIVE_FROM))
    return min(positives, len(targets) - positives) >= MIN_CALIBRATION


def _highest(logits: np.ndarray, heads: Heads, layout: Layout, columns: Sequence[int]) -> np.ndarray:
    """The highest published score of some tags: float64 [n]."""
    found = np.zeros(len(logits))
    for rows in row_blocks(len(logits)):
        scores = published(logits[rows].astype(np.float64), heads, layout)
        found[rows] = scores[:, columns].max(axis=1)
    return found


def platt(
    logits: np.ndarray, targets: np.ndarray, floor: np.ndarray | None = None, prior: Prior | None = None
) -> tuple[float, float]:
    """Slope and offset that turn one tag's logits into probabilities; (1, 0) if there are too few tracks.

    The prior regularises small samples; the slope is positive, because its logarithm is fitted. The objective is a mean
    over tracks: with a sum over many, the first step would overflow the exponential.

    Args:
      logits: [n].
      targets: [n], 0 to 1.
      floor: [n], highest score of the tag's children; the maximum of both scores is fitted. None: no children.
      prior: prior of log slope and offset; None: the default.
    """
    prior = prior or Prior()
    logits, targets = logits.astype(np.float64), targets.astype(np.float64)
    if not _has_support(targets):
        return 1.0, 0.0
    lowest = np.full(len(targets), -np.inf) if floor is None else _logit(floor)

    def objective(params: np.ndarray) -> tuple[float, np.ndarray]:
        slope = np.exp(params[0])
        own = slope * logits + params[1]
        scaled = np.maximum(own, lowest)
        losses, _ = row_losses(scaled[:, None], targets[:, None], np.ones((len(targets), 1)), False)
        error = (sigmoid(scaled) - targets) * (own > lowest)
        away = (params - prior.centre) / prior.deviation
        value = float(losses.sum()) + 0.5 * float(away @ away)
        gradient = np.array([np.sum(error * slope * logits), np.sum(error)]) + away / prior.deviation
        return value / len(targets), gradient / len(targets)

    found = minimise(objective, prior.centre, tolerance=1e-10, max_iterations=100)
    return float(np.exp(found[0])), float(found[1])


def _logit(scores: np.ndarray) -> np.ndarray:
    scores = np.clip(scores, 1e-9, 1 - 1e-9)
    logits: np.ndarray = np.log(scores / (1 - scores))
    return logits


def temperature(logits: np.ndarray, targets: np.ndarray, mask: np.ndarray) -> float:
    """Slope (1 / temperature) of a softmax's logits; 1 if fewer than `MIN_CALIBRATION` tracks are known."""
    known = mask.min(axis=1) > 0
    if known.sum() < MIN_CALIBRATION:
        return 1.0
    logits, targets = logits[known], targets[known]

    def objective(params: np.ndarray) -> tuple[float, np.ndarray]:
        loss, slope = 0.5 * float(params @ params), params.copy()
        for rows in row_blocks(len(logits)):
            y = targets[rows].astype(np.float64)
            scaled = np.exp(params[0]) * logits[rows].astype(np.float64)
            losses, slopes = row_losses(scaled, y, np.ones_like(y), True)
            loss += float(losses.sum())
            slope += np.sum(slopes * scaled)
        return loss / len(targets), slope / len(targets)

    return float(np.exp(minimise(objective, np.zeros(1), tolerance=1e-10, max_iterations=100)[0]))


def kinds(heads: Heads, layout: Layout) -> list[str]:
    """How each tag's score was calibrated: `identity`, `platt` or `temperature`."""
    found = ["identity"] * layout.size
    for group in layout.groups:
        for column in group.columns:
            # The second tag of a binary pair is 1 minus the first, so it has the same calibration.
            source = group.columns[0] if group.kind == "binary" else column
            if (heads.slope[source], heads.offset[source]) != (1.0, 0.0):
                found[column] = "temperature" if group.kind == "multiclass" else "platt"
    return found


def thresholds(
    scores: np.ndarray,
    targets: np.ndarray,
    mask: np.ndarray,
    layout: Layout,
    precisions: Sequence[float | None] | None = None,
) -> list[Threshold]:
    """A threshold per tag; 0.5 if there are too few tracks.

    Args:
      scores: published scores of held-out tracks, [n, T].
      targets: [n, T].
      mask: [n, T], 1 if both may be used.
      layout: the categories.
      precisions: requested precision of each tag; None: best F1.
    """
    precisions = precisions or [None] * layout.size
    found = [Threshold(value=DEFAULT_THRESHOLD, rule="default")] * layout.size
    for group in layout.groups:
        for column in group.columns:
            rows = mask[:, column] > 0
            values = scores[rows, column].astype(np.float64)
            found[column] = _threshold(group, values, targets[rows, column], precisions[column])
        if group.kind == "binary" and len(group.columns) == 2:
            first, second = group.columns
            # The two scores add up to 1, rounded to 0.0001. With 1 - threshold, a track that reaches the first tag's
            # threshold exactly would get both tags. One step higher, it gets only the first tag.
            found[second] = Threshold(value=round(1.0 - found[first].value + 1e-4, 4), rule="complement")
    return found


def _threshold(group: Group, scores: np.ndarray, targets: np.ndarray, precision: float | None) -> Threshold:
    if group.kind == "multiclass":
        return Threshold(value=DEFAULT_THRESHOLD, rule="highest")
    truth = targets >= POSITIVE_FROM
    if min(truth.sum(), (~truth).sum()) < MIN_THRESHOLD:
        return Threshold(value=DEFAULT_THRESHOLD, rule="default")
    values, f1 = f1_curve(truth, scores)
    if precision is None:
        return Threshold(value=_cut(values, int(np.argmax(f1))), rule="best_f1")
    best, reached = _precise(truth, scores, values, precision)
    return Threshold(value=_cut(values, best), rule="precision" if reached else "precision_out_of_reach")


def _precise(truth: np.ndarray, scores: np.ndarray, values: np.ndarray, requested: float) -> tuple[int, bool]:
    """Index of the lowest score with the requested precision, and True; else of the most precise score, and False.

    The precision of fewer than `MIN_THRESHOLD` predicted positives is unreliable and counts as 0.
    """
    called = np.searchsorted(np.sort(-scores), -values, side="right")
    hits = np.searchsorted(np.sort(-scores[truth]), -values, side="right")
    precision = np.where(called >= MIN_THRESHOLD, hits / called, 0.0)
    good = np.flatnonzero(precision >= requested)
    return (int(good[-1]), True) if len(good) else (int(np.argmax(precision)), False)


def _cut(values: np.ndarray, place: int) -> float:
    """The midpoint to the next lower score, so that the threshold lies between the scores of held-out tracks."""
    below = values[place + 1] if place + 1 < len(values) else values[place]
    return float(round((values[place] + below) / 2, 4))
