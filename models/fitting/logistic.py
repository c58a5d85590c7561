"""Masked logistic regression with an L2 penalty along a path of strengths: convex, float64."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from models.fitting.lbfgs import minimise
from models.scoring.heads import softmax

SUMMED_TOGETHER = 8192
"""Rows whose logits are held at once."""

_MAX_ITERATIONS = 200


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LogisticProblem:
    """Rows of one category: x float64 [n, D] (standardised), soft targets y [n, k], mask [n, k].

    `multiclass` asks for one softmax over the k outputs, otherwise each has its own sigmoid. `groups` names the group
    of each row; empty: each row is its own.
    """

    x: np.ndarray
    y: np.ndarray
    mask: np.ndarray
    multiclass: bool
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, chosen: np.ndarray) -> "LogisticProblem":
        """These rows alone."""
        groups = tuple(np.array(self.groups, dtype=object)[chosen]) if self.groups else ()
        return dataclasses.replace(self, x=self.x[chosen], y=self.y[chosen], mask=self.mask[chosen], groups=groups)

    def values(self, chosen: np.ndarray) -> "LogisticProblem":
        """These columns of x alone."""
        return dataclasses.replace(self, x=np.ascontiguousarray(self.x[:, chosen]))

    def losses(self, solution: "Solution") -> np.ndarray:
        """Masked cross-entropy of each row: [n]."""
        return row_losses(self.x @ solution.weights + solution.bias, self.y, self.mask, self.multiclass)[0]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Weights float64 [D, k] and bias float64 [k] of one strength."""

    strength: float
    weights: np.ndarray
    bias: np.ndarray


def path(problem: LogisticProblem, strengths: Sequence[float], *, tolerance: float = 1e-10) -> Iterator[Solution]:
    """Minimisers of summed masked cross-entropy + strength / 2 * squared weights, one per strength in their order.

    Each is started from the one before. The bias is held by one pseudo-track at the mean with even targets, so that a
    tag without positives gets a low but finite score. `tolerance` is the relative fall of the loss that ends a descent.
    """
    values, basis = _directions(problem.x)
    # The minimum lies in the span of the rows: in eigenvector coordinates there are at most n unknowns an output.
    rotated = dataclasses.replace(problem, x=problem.x @ basis)
    params = np.zeros((len(values) + 1, problem.y.shape[1]))
    for strength in strengths:
        params = _minimise(rotated, strength, 1 / np.sqrt(values / 4 + strength), params, tolerance)
        yield Solution(strength=strength, weights=basis @ params[:-1], bias=params[-1].copy())


def _directions(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues [r] and eigenvectors [D, r] of x.T @ x, without its null space; r is at most n."""
    if len(x) < x.shape[1]:
        values, left = np.linalg.eigh(x @ x.T)
        kept = _kept(values)
        return values[kept], (x.T @ left[:, kept]) / np.sqrt(values[kept])
    gram = np.zeros((x.shape[1], x.shape[1]))
    for begin in range(0, len(x), SUMMED_TOGETHER):
        gram += x[begin : begin + SUMMED_TOGETHER].T @ x[begin : begin + SUMMED_TOGETHER]
    values, vectors = np.linalg.eigh(gram)
    kept = _kept(values)
    return values[kept], np.ascontiguousarray(vectors[:, kept])


def _kept(eigenvalues: np.ndarray) -> np.ndarray:
    kept: np.ndarray = eigenvalues > max(eigenvalues[-1], 1.0) * 1e-10
    return kept


def _minimise(
    problem: LogisticProblem, strength: float, scale: np.ndarray, start: np.ndarray, tolerance: float
) -> np.ndarray:
    """Parameters [r + 1, k], bias last. `scale` [r] makes the objective nearly round: tens of steps, not hundreds."""
    # The bias is as curved as the sum of all rows: left at 1 it costs a descent hundreds of steps.
    stretch = np.append(scale, 2 / np.sqrt(len(problem) + 1))[:, None]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        params = stretch * flat.reshape(start.shape)
        loss, slopes = _objective(problem, strength, params)
        return loss, (stretch * slopes).ravel()

    found = minimise(objective, (start / stretch).ravel(), tolerance=tolerance, max_iterations=_MAX_ITERATIONS)
    params: np.ndarray = stretch * found.reshape(start.shape)
    return params


def _objective(problem: LogisticProblem, strength: float, params: np.ndarray) -> tuple[float, np.ndarray]:
    """The penalised loss and its slope, the rows taken in blocks."""
    outputs = params.shape[1]
    even = np.full((1, outputs), 1 / outputs if problem.multiclass else 0.5)
    prior, slope = row_losses(params[-1:], even, np.ones_like(even), problem.multiclass)
    loss = float(prior.sum()) + 0.5 * strength * float(np.sum(params[:-1] ** 2))
    slopes = np.vstack([strength * params[:-1], slope])
    for begin in range(0, len(problem), SUMMED_TOGETHER):
        rows = slice(begin, begin + SUMMED_TOGETHER)
        logits = problem.x[rows] @ params[:-1] + params[-1]
        losses, slope = row_losses(logits, problem.y[rows], problem.mask[rows], problem.multiclass)
        loss += float(losses.sum())
        slopes[:-1] += problem.x[rows].T @ slope
        slopes[-1] += slope.sum(axis=0)
    return loss, slopes


def row_losses(logits: np.ndarray, y: np.ndarray, mask: np.ndarray, multiclass: bool) -> tuple[np.ndarray, np.ndarray]:
    """Masked cross-entropy of each row [n] and its slope by the logits [n, k]; all inputs [n, k]."""
    if multiclass:
        known = mask.min(axis=1, keepdims=True)
        top = logits.max(axis=1, keepdims=True)
        log_sum = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
        weight = (y * known).sum(axis=1, keepdims=True)
        return np.sum(y * known * (log_sum - logits), axis=1), weight * softmax(logits) - y * known
    # One exponential serves the loss and its slope, in as few arrays as can be: most of a fit is spent on these lines.
    small = np.exp(-np.abs(logits))
    total = 1 + small
    losses = np.log(total)
    losses += np.maximum(logits, 0)
    losses -= logits * y
    losses *= mask
    small -= 1
    small /= total
    slope = np.copysign(small, logits, out=small)
    slope *= 0.5
    slope += 0.5
    slope -= y
    slope *= mask
    return losses.sum(axis=1), slope
