"""Chooses the L2 strength of a head and the scale of each block by cross-validated likelihood.

The values of a block are standardised, brought to the same total variance, and then scaled. A scale of 0 removes the
block; a larger scale penalises its weights less. Strength and scales minimise the loss on held-out tracks. The method
requires values without label information.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from models.fitting.folds import deal_folds
from models.fitting.logistic import LogisticProblem, path, row_losses
from models.scoring.metrics import POSITIVE_FROM

STRENGTHS = tuple(float(s) for s in 10.0 ** np.arange(4.0, -2.25, -0.25))
"""L2 strengths, strongest first: penalty = strength / 2 * sum of squared weights; the loss is a sum over tracks."""

DEFAULT_STRENGTH = STRENGTHS[8]
"""Strength if there are no held-out tracks to choose on."""

FOLDS = 5

MOST_FOLDED = 5_000
"""Most tracks for cross-validation. With more, the validation split is large enough."""

MOST_SCALED = 1_500
"""Most tracks for scales of blocks. With more, the data outweighs them."""

PATIENCE = 2
"""Number of weaker strengths tried after the best one before the search stops."""

CHOICE_TOLERANCE = 1e-5
"""Tolerance of the fits that compare strengths. The published head is fitted with a smaller one."""

_COARSE, _NEAR = 2, (-4, -2, 0, 2, 4)
_FACTORS = (0.0, 0.4, 2.5)
_ROUNDS = 2
_UNIT_SIZE = 200.0


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """The result of cross-validation.

    Attributes:
      scales: scale of each block, applied after standardisation.
      strength: L2 strength.
      losses: strength -> mean loss per track, for every strength tried with these scales.
      held_out: out-of-fold logits, float64 [n, k].
    """

    scales: tuple[float, ...]
    strength: float
    losses: Mapping[float, float]
    held_out: np.ndarray


def cross_validated(problem: LogisticProblem, blocks: Sequence[np.ndarray]) -> Choice:
    """Strength and scales for these rows. Each group is in one fold.

    Args:
      problem: standardised rows of at least two groups.
      blocks: columns of each block.
    """
    trial = _Trial(problem, blocks)
    best = trial.over([1.0] * len(blocks), STRENGTHS[::_COARSE])
    if len(blocks) > 1 and len(problem) <= MOST_SCALED:
        best = _scaled(trial, best)
    place = STRENGTHS.index(best.strength)
    return trial.over(best.scales, STRENGTHS[max(place - 1, 0) : place + 2], known=best.losses)


def scaled_columns(blocks: Sequence[np.ndarray], scales: Sequence[float], dim: int) -> np.ndarray:
    """Factors of standardised values: float64 [dim]; 0 if a value is in no block."""
    found = np.zeros(dim)
    for columns, scale in zip(blocks, scales, strict=True):
        found[columns] = scale * np.sqrt(_UNIT_SIZE / max(len(columns), 1))
    return found


def _scaled(trial: "_Trial", best: Choice) -> Choice:
    """Coordinate search: removes, shrinks or enlarges one block at a time while the held-out loss falls."""
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
    """Out-of-fold losses of one problem for any scales, with fixed folds."""

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
        """The best of these strengths. The search stops `PATIENCE` after the best one."""
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
        """Yields each strength with the out-of-fold logits of all rows, [n, k]."""
        parts = [(scaled.rows(self._fold != fold), self._fold == fold) for fold in self._folds]
        for step in zip(*(path(fitted, strengths, tolerance=CHOICE_TOLERANCE) for fitted, _ in parts), strict=True):
            logits = np.zeros(scaled.y.shape)
            for solution, (_, rest) in zip(step, parts, strict=True):
                logits[rest] = scaled.x[rest] @ solution.weights + solution.bias
            yield step[0].strength, logits
