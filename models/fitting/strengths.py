"""How strongly a head is held back: L2 strength, and how much weight each block gets, by cross-validated likelihood.

A block's values are standardised and brought to one total variance, then scaled: a scale of 0 leaves the block out, a
larger one lets the head lean on it more. Strength and scales are those under which tracks that a head has not seen are
likeliest. All this asks that the values know nothing of the labels.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from models.fitting.folds import deal_folds
from models.fitting.logistic import LogisticProblem, path, row_losses
from models.scoring.metrics import POSITIVE_FROM

STRENGTHS = tuple(float(s) for s in 10.0 ** np.arange(4.0, -2.25, -0.25))
"""L2 strengths tried, strongest first: penalty = strength / 2 * sum of squared weights, loss summed over tracks."""

DEFAULT_STRENGTH = STRENGTHS[8]
"""Strength taken where nothing is left to choose on."""

FOLDS = 5

MOST_FOLDED = 5_000
"""Tracks up to which strengths are cross-validated; above, the validation split is large enough."""

MOST_SCALED = 1_500
"""Tracks up to which blocks get scales of their own; above, the data outweighs them."""

PATIENCE = 2
"""Strengths tried after the best one before weaker ones are left alone."""

CHOICE_TOLERANCE = 1e-5
"""Strengths are compared on solutions this close; the published one is solved exactly."""

_COARSE, _NEAR = 2, (-4, -2, 0, 2, 4)
_FACTORS = (0.0, 0.4, 2.5)
_ROUNDS = 2
_UNIT_SIZE = 200.0


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """What cross-validation chose.

    Attributes:
      scales: of each block, on top of its standardisation.
      strength: L2 strength.
      losses: mean loss per track of every strength tried with these scales.
      held_out: logits float64 [n, k] of each row from a head that was not fitted on it.
    """

    scales: tuple[float, ...]
    strength: float
    losses: Mapping[float, float]
    held_out: np.ndarray


def cross_validated(problem: LogisticProblem, blocks: Sequence[np.ndarray]) -> Choice:
    """Strength and scales for these rows, whose groups no fold parts.

    Args:
      problem: standardised rows, at least two.
      blocks: columns of each block.
    """
    trial = _Trial(problem, blocks)
    best = trial.over([1.0] * len(blocks), STRENGTHS[::_COARSE])
    if len(blocks) > 1 and len(problem) <= MOST_SCALED:
        best = _scaled(trial, best)
    place = STRENGTHS.index(best.strength)
    return trial.over(best.scales, STRENGTHS[max(place - 1, 0) : place + 2], known=best.losses)


def scaled_columns(blocks: Sequence[np.ndarray], scales: Sequence[float], dim: int) -> np.ndarray:
    """What standardised values are multiplied by: float64 [dim]; 0 where a value stands in no block."""
    found = np.zeros(dim)
    for columns, scale in zip(blocks, scales, strict=True):
        found[columns] = scale * np.sqrt(_UNIT_SIZE / max(len(columns), 1))
    return found


def _scaled(trial: "_Trial", best: Choice) -> Choice:
    """Block by block: left out, weaker or stronger, as long as held-out tracks become likelier."""
    for _ in range(_ROUNDS):
        before = best
        for block in range(len(best.scales)):
            for factor in _FACTORS:
                scales = list(best.scales)
                scales[block] *= factor
                if not any(scales) or scales == list(best.scales):
                    continue
                place = STRENGTHS.index(best.strength)
                near = [STRENGTHS[place + n] for n in _NEAR if 0 <= place + n < len(STRENGTHS)]
                tried = trial.over(scales, near)
                if tried.losses[tried.strength] < best.losses[best.strength]:
                    best = tried
        if best is before:
            break
    return best


class _Trial:
    """Held-out losses of one problem under any scales, over folds dealt once."""

    def __init__(self, problem: LogisticProblem, blocks: Sequence[np.ndarray]) -> None:
        self._problem, self._blocks = problem, blocks
        groups = problem.groups or [str(row) for row in range(len(problem))]
        folds = min(FOLDS, len(set(groups)))
        carried = (problem.y >= POSITIVE_FROM) & (problem.mask > 0)
        self._fold = deal_folds(groups, carried, folds)
        self._folds = [fold for fold in range(folds) if 0 < np.sum(self._fold == fold) < len(problem)]

    def over(
        self, scales: Sequence[float], strengths: Sequence[float], known: Mapping[float, float] | None = None
    ) -> Choice:
        """The best of these strengths; weaker ones are left alone once the loss has risen for good."""
        factors = scaled_columns(self._blocks, scales, self._problem.x.shape[1])
        used = np.flatnonzero(factors)
        scaled = dataclasses.replace(self._problem, x=self._problem.x[:, used] * factors[used])
        losses, best, best_logits = dict[float, float](), np.inf, np.zeros(self._problem.y.shape)
        chosen = strengths[0]
        for strength, logits in self._held_out(scaled, strengths):
            mean = row_losses(logits, scaled.y, scaled.mask, scaled.multiclass)[0].mean()
            losses[strength] = float(mean)
            if mean < best:
                best, best_logits, chosen = mean, logits, strength
            if list(losses).index(chosen) + PATIENCE < len(losses):
                break
        return Choice(scales=tuple(scales), strength=chosen, losses={**(known or {}), **losses}, held_out=best_logits)

    def _held_out(self, scaled: LogisticProblem, strengths: Sequence[float]) -> Iterable[tuple[float, np.ndarray]]:
        """Each strength with the logits of all rows, each row's from the fold's head that has not seen it."""
        parts = [(scaled.rows(self._fold != fold), self._fold == fold) for fold in self._folds]
        for step in zip(*(path(fitted, strengths, tolerance=CHOICE_TOLERANCE) for fitted, _ in parts), strict=True):
            logits = np.zeros(scaled.y.shape)
            for solution, (_, rest) in zip(step, parts, strict=True):
                logits[rest] = scaled.x[rest] @ solution.weights + solution.bias
            yield step[0].strength, logits
