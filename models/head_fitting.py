"""Fits the published heads on track embeddings: per category its own strength, and the learned values if they earn it.

Two kinds of values stand in a track embedding. Fixed ones (statistics of the mels) know nothing of the training labels:
their strength is chosen by cross-validation within the training split. Learned ones (the trunk's) have seen the labels
of the very tracks that heads are fitted on, and look better there than they are: only validation can tell. So learned
values are used where they lower the validation loss by more than its standard error. With few tracks they seldom do.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from models.blocks import Block, check_blocks, columns_of
from models.folds import deal_folds
from models.heads import Group, Heads, Layout
from models.logistic import Problem, Solution, path

STRENGTHS = tuple(float(s) for s in 10.0 ** np.arange(3.5, -2.5, -0.5))
"""L2 strengths tried, strongest first: penalty = strength / 2 * sum of squared weights, loss summed over tracks."""

DEFAULT_STRENGTH = STRENGTHS[5]
"""Strength taken where nothing is left to choose on."""

PATIENCE = 2
"""Strengths tried after the best one before weaker ones are left alone."""

CHOICE_TOLERANCE = 1e-5
"""Strengths are compared on solutions this close; the published one is solved exactly."""

FOLDS = 5
MOST_FOLDED = 5_000
"""Training tracks up to which strengths are cross-validated; above, the validation split is large enough."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """Labelled rows: embeddings float32 [n, D], soft targets float32 [n, T], mask float32 [n, T].

    Attributes:
      groups: the group of each row (its artist), never parted by cross-validation; empty: each row is its own.
    """

    embeddings: np.ndarray
    targets: np.ndarray
    mask: np.ndarray
    groups: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """How one category's head was fitted.

    Attributes:
      category: its name.
      values: which values of the embedding it uses: `all`, `fixed`, or `none` where no training track is known.
      strength: L2 strength.
      chosen_on: what the strength was chosen on.
      losses: mean loss per track of every strength tried there.
      gain: how much the learned values lower the mean validation loss, and the standard error of that.
    """

    category: str
    values: Literal["all", "fixed", "none"]
    strength: float | None
    chosen_on: str
    losses: Mapping[float, float]
    gain: tuple[float, float] | None = None


def standardiser(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation per value, float64 [D] each; deviation 1 where a value never changes."""
    mean = embeddings.mean(axis=0, dtype=np.float64)
    std = embeddings.std(axis=0, dtype=np.float64)
    return mean, np.where(std > 1e-6, std, 1.0)


def fit_heads(
    train: Labelled, validation: Labelled, layout: Layout, blocks: Sequence[Block]
) -> tuple[Heads, list[Fit]]:
    """Heads of all categories, without calibration.

    Args:
      train: rows to fit on.
      validation: rows to choose on.
      layout: the categories.
      blocks: the blocks of an embedding.

    Raises:
      ValueError: the blocks do not cover the embedding.
    """
    check_blocks(blocks, train.embeddings.shape[1])
    fixed = columns_of(block for block in blocks if not block.learned)
    mean, scale = standardiser(train.embeddings)
    weights, bias = np.zeros((len(mean), layout.size)), np.zeros(layout.size)
    fits = []
    for group in layout.groups:
        columns = fitted_columns(group)
        rows, held_out = (_problem(part, group, mean, scale) for part in (train, validation))
        weights[:, columns], bias[columns], fit = _fit_group(group.name, rows, held_out, fixed)
        fits.append(fit)
    ones, zeros = np.ones(layout.size), np.zeros(layout.size)
    return Heads(mean=mean, scale=scale, weights=weights, bias=bias, slope=ones, offset=zeros), fits


def fitted_columns(group: Group) -> list[int]:
    """Columns with an output of their own: the second tag of a binary pair is 1 minus the first."""
    return list(group.columns[:1]) if group.kind == "binary" else list(group.columns)


def _problem(rows: Labelled, group: Group, mean: np.ndarray, scale: np.ndarray) -> Problem:
    """The rows in which the category is known, standardised."""
    columns = fitted_columns(group)
    known = rows.mask[:, columns].max(axis=1) > 0
    return Problem(
        x=(rows.embeddings[known].astype(np.float64) - mean) / scale,
        y=rows.targets[np.ix_(known, columns)].astype(np.float64),
        mask=rows.mask[np.ix_(known, columns)].astype(np.float64),
        groups=tuple(np.array(rows.groups, dtype=object)[known]) if rows.groups else (),
        multiclass=group.kind == "multiclass",
    )


_Fitted = tuple[np.ndarray, np.ndarray, Fit]


def _fit_group(name: str, train: Problem, validation: Problem, fixed: np.ndarray) -> _Fitted:
    dim, outputs = train.x.shape[1], train.y.shape[1]
    if not len(train):
        nothing = Fit(category=name, values="none", strength=None, chosen_on="no known track", losses={})
        return np.zeros((dim, outputs)), np.zeros(outputs), nothing
    if len(fixed) == 0:
        return _fit_learned(name, train, validation)
    if len(fixed) == dim:
        return _fit_fixed(name, train, validation, fixed)
    return _better(_fit_fixed(name, train, validation, fixed), _fit_learned(name, train, validation), validation)


def _better(fixed: _Fitted, everything: _Fitted, validation: Problem) -> _Fitted:
    """The fit on all values where it beats the one on the fixed values by more than the standard error."""
    if len(validation) < 2:
        return fixed
    losses = [
        validation.losses(Solution(strength=0.0, weights=weights, bias=bias))
        for weights, bias, _ in (fixed, everything)
    ]
    gains = losses[0] - losses[1]
    gain = float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains)))
    weights, bias, fit = everything if gain[0] > gain[1] else fixed
    return weights, bias, dataclasses.replace(fit, gain=gain)


def _fit_fixed(name: str, train: Problem, validation: Problem, fixed: np.ndarray) -> _Fitted:
    """Fit on the values at `fixed`, which know nothing of the labels."""
    rows, held_out = (part.values(fixed) for part in (train, validation))
    if FOLDS <= len(rows) <= MOST_FOLDED:
        losses, on = _cross_validated(rows), "cross-validation"
    else:
        losses, on = _validated(rows, held_out)
    solution = _solution(rows, _best(losses))
    weights = np.zeros((train.x.shape[1], rows.y.shape[1]))
    weights[fixed] = solution.weights
    fit = Fit(category=name, values="fixed", strength=solution.strength, chosen_on=on, losses=losses)
    return weights, solution.bias, fit


def _fit_learned(name: str, train: Problem, validation: Problem) -> _Fitted:
    losses, on = _validated(train, validation)
    solution = _solution(train, _best(losses))
    fit = Fit(category=name, values="all", strength=solution.strength, chosen_on=on, losses=losses)
    return solution.weights, solution.bias, fit


def _best(losses: Mapping[float, float]) -> float:
    return min(losses, key=lambda strength: losses[strength]) if losses else DEFAULT_STRENGTH


def _solution(problem: Problem, strength: float) -> Solution:
    return next(path(problem, [strength]))


def _validated(train: Problem, validation: Problem) -> tuple[dict[float, float], str]:
    """Mean validation loss per strength, until it has risen for good."""
    if not len(validation):
        return {}, "nothing: the default"
    losses: dict[float, float] = {}
    for solution in path(train, STRENGTHS, tolerance=CHOICE_TOLERANCE):
        losses[solution.strength] = float(validation.losses(solution).mean())
        if list(losses).index(_best(losses)) + PATIENCE < len(losses):
            break
    return losses, "validation"


def _cross_validated(problem: Problem) -> dict[float, float]:
    """Mean loss per strength over folds of the training tracks, until it has risen for good."""
    groups = problem.groups or [str(row) for row in range(len(problem))]
    fold = deal_folds(groups, (problem.y >= 0.5) & (problem.mask > 0), FOLDS)
    parts = [(problem.rows(fold != k), problem.rows(fold == k)) for k in range(FOLDS)]
    losses: dict[float, float] = {}
    for step in zip(*(path(fitted, STRENGTHS, tolerance=CHOICE_TOLERANCE) for fitted, _ in parts), strict=True):
        held_out = [rest.losses(solution) for solution, (_, rest) in zip(step, parts, strict=True)]
        losses[step[0].strength] = float(np.concatenate(held_out).mean())
        if list(losses).index(_best(losses)) + PATIENCE < len(losses):
            break
    return losses
