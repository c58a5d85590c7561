"""Masked logistic regression with an L2 penalty for a path of strengths. Convex, in float64."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from models.fitting.lbfgs import minimise
from models.scoring.heads import softmax

SUMMED_TOGETHER = 8192
"""Rows whose logits are in memory at once."""

_MAX_ITERATIONS = 200


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LogisticProblem:
    """Rows of one category: x float64 [n, D] (standardised), soft targets y [n, k], mask [n, k].

    With `multiclass`, the k outputs share a softmax; otherwise each has a sigmoid. `groups` has the group of each row;
    if it is empty, each row is a group.
    """

    x: np.ndarray
    y: np.ndarray
    mask: np.ndarray
    multiclass: bool
    groups: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, chosen: np.ndarray) -> "LogisticProblem":
        """The problem with these rows only."""
        groups = tuple(np.array(self.groups, dtype=object)[chosen]) if self.groups else ()
        return dataclasses.replace(self, x=self.x[chosen], y=self.y[chosen], mask=self.mask[chosen], groups=groups)

    def values(self, chosen: np.ndarray) -> "LogisticProblem":
        """The problem with these columns of x only."""
        return dataclasses.replace(self, x=np.ascontiguousarray(self.x[:, chosen]))

    def losses(self, solution: "Solution") -> np.ndarray:
        """Masked cross-entropy of each row: [n]."""
        return row_losses(self.x @ solution.weights + solution.bias, self.y, self.mask, self.multiclass)[0]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Weights float64 [D, k] and bias float64 [k] for one strength."""

    strength: float
    weights: np.ndarray
    bias: np.ndarray


def path(problem: LogisticProblem, strengths: Sequence[float], *, tolerance: float = 1e-10) -> Iterator[Solution]:
    """Minimises summed masked cross-entropy + strength / 2 * squared weights, and yields a solution per strength.

    Each fit starts from the previous solution. A pseudo-track at the mean with even targets bounds the bias, so that a
    tag without positives gets a low but finite score. A fit ends when a step reduces the loss by no more than the share
    `tolerance`.
    """
    values, basis = _directions(problem.x)
    # The minimum is in the span of the rows, so eigenvector coordinates have at most n unknowns per output.
    rotated = dataclasses.replace(problem, x=problem.x @ basis)
    params = np.zeros((len(values) + 1, problem.y.shape[1]))
    for strength in strengths:
        params = _minimise(rotated, strength, 1 / np.sqrt(values / 4 + strength), params, tolerance)
        yield Solution(strength=strength, weights=basis @ params[:-1], bias=params[-1].copy())


def _directions(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues [r] and eigenvectors [D, r] of x.T @ x without its null space; r <= n."""
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
    """Parameters [r + 1, k], bias last. `scale` [r] preconditions the objective: tens of steps instead of hundreds."""
    # The curvature of the bias is the sum over all rows. Without its own factor, a fit would need hundreds of steps.
    stretch = np.append(scale, 2 / np.sqrt(len(problem) + 1))[:, None]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        params = stretch * flat.reshape(start.shape)
        loss, slopes = _objective(problem, strength, params)
        return loss, (stretch * slopes).ravel()

    found = minimise(objective, (start / stretch).ravel(), tolerance=tolerance, max_iterations=_MAX_ITERATIONS)
    params: np.ndarray = stretch * found.reshape(start.shape)
    return params


def _objective(problem: LogisticProblem, strength: float, params: np.ndarray) -> tuple[float, np.ndarray]:
    """The penalised loss and its gradient, computed over blocks of rows."""
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
    """Masked cross-entropy of each row [n] and its gradient with respect to the logits [n, k]; all inputs [n, k]."""
    if multiclass:
        known = mask.min(axis=1, keepdims=True)
        top = logits.max(axis=1, keepdims=True)
        log_sum = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
        weight = (y * known).sum(axis=1, keepdims=True)
        return np.sum(y * known * (log_sum - logits), axis=1), weight * softmax(logits) - y * known
    # One exponential gives loss and gradient, with few temporary arrays: a fit spends most of its time here.
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
