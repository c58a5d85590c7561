"""Fits linear heads on track embeddings: convex, float64, regularisation per category chosen on validation."""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
from scipy.optimize import minimize

from models.heads import Group, Heads, Layout, sigmoid, softmax

STRENGTHS = tuple(float(s) for s in 10.0 ** np.arange(3.0, -2.5, -0.5))
"""L2 strengths tried, strongest first: penalty = strength / 2 * sum of squared weights, loss summed over tracks."""

DEFAULT_STRENGTH = STRENGTHS[4]
"""Strength taken where a category has no validation track."""

PATIENCE = 3

BLOCK = 8192
"""Rows whose logits are held at once."""

_MAX_ITERATIONS = 300


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """Labelled rows: embeddings float32 [n, D], soft targets float32 [n, T], mask float32 [n, T]."""

    embeddings: np.ndarray
    targets: np.ndarray
    mask: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fit:
    """How one category's head was fitted: the strength taken and the validation loss of every strength tried."""

    category: str
    strength: float
    chosen_on: str
    losses: Mapping[float, float]


def standardiser(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation per value, float64 [D] each; deviation 1 where a value never changes."""
    mean = embeddings.mean(axis=0, dtype=np.float64)
    std = embeddings.std(axis=0, dtype=np.float64)
    return mean, np.where(std > 1e-6, std, 1.0)


def fit_heads(train: Labelled, validation: Labelled, layout: Layout) -> tuple[Heads, list[Fit]]:
    """Heads of all categories, without calibration.

    A category none of whose tracks is known in the training split gets the prior (every tag 0.5) and strength infinity.
    """
    mean, scale = standardiser(train.embeddings)
    weights = np.zeros((train.embeddings.shape[1], layout.size))
    bias = np.zeros(layout.size)
    fits = []
    rows = _standardised(train, mean, scale)
    held_out = _standardised(validation, mean, scale)
    for group in layout.groups:
        columns = fitted_columns(group)
        weights[:, columns], bias[columns], fit = _fit_group(rows, held_out, group, columns)
        fits.append(fit)
    ones, zeros = np.ones(layout.size), np.zeros(layout.size)
    return Heads(mean=mean, scale=scale, weights=weights, bias=bias, slope=ones, offset=zeros), fits


def fitted_columns(group: Group) -> list[int]:
    """Columns with an output of their own: the second tag of a binary pair is 1 minus the first."""
    return list(group.columns[:1]) if group.kind == "binary" else list(group.columns)


def _standardised(rows: Labelled, mean: np.ndarray, scale: np.ndarray) -> Labelled:
    values = ((rows.embeddings - mean) / scale).astype(np.float64)
    return dataclasses.replace(rows, embeddings=values)


def _known(rows: Labelled, columns: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings, targets and mask of the rows in which any of these columns is known."""
    known = rows.mask[:, columns].max(axis=1) > 0
    return rows.embeddings[known], rows.targets[np.ix_(known, columns)], rows.mask[np.ix_(known, columns)]


def _fit_group(
    train: Labelled, validation: Labelled, group: Group, columns: list[int]
) -> tuple[np.ndarray, np.ndarray, Fit]:
    x, y, mask = _known(train, columns)
    x_val, y_val, mask_val = _known(validation, columns)
    shape = (train.embeddings.shape[1], len(columns))
    if not len(x):
        return (
            np.zeros(shape),
            np.zeros(len(columns)),
            Fit(category=group.name, strength=float("inf"), chosen_on="nothing: no known track", losses={}),
        )
    path = _path(x, y, mask, group.kind == "multiclass")
    if not len(x_val):
        found = next(step for step in path if step[0] == DEFAULT_STRENGTH)
        return *found[1:], Fit(category=group.name, strength=found[0], chosen_on="default: no validation", losses={})
    return _choose(group, path, x_val, y_val, mask_val)


_Step = tuple[float, np.ndarray, np.ndarray]


def _choose(
    group: Group, path: Iterator[_Step], x: np.ndarray, y: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray, Fit]:
    """The step of least validation loss; weaker strengths are not tried once it has risen `PATIENCE` times."""
    losses: dict[float, float] = {}
    best, best_loss, risen = None, np.inf, 0
    for step in path:
        strength, weights, bias = step
        loss = data_loss(x @ weights + bias, y, mask, group.kind == "multiclass")[0] / len(x)
        losses[strength] = float(loss)
        best, best_loss, risen = (step, loss, 0) if loss < best_loss else (best, best_loss, risen + 1)
        if risen == PATIENCE:
            break
    assert best is not None
    return *best[1:], Fit(category=group.name, strength=best[0], chosen_on="validation loss", losses=losses)


def _path(x: np.ndarray, y: np.ndarray, mask: np.ndarray, multiclass: bool) -> Iterator[_Step]:
    """Strength, weights and bias for each of `STRENGTHS`, each started from the one before."""
    values, basis = _directions(x)
    params = np.zeros((x.shape[1] + 1, y.shape[1]))
    for strength in STRENGTHS:
        # In these directions the objective is nearly round: some tens of iterations instead of hundreds.
        params = _solve(x, y, mask, multiclass, strength, basis / np.sqrt(values / 4 + strength), params)
        yield strength, params[:-1].copy(), params[-1].copy()


def _directions(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues [r] and eigenvectors [D, r] of x.T @ x, without its null space, in which L2 keeps weights at 0."""
    gram = np.zeros((x.shape[1], x.shape[1]))
    for begin in range(0, len(x), BLOCK):
        gram += x[begin : begin + BLOCK].T @ x[begin : begin + BLOCK]
    values, vectors = np.linalg.eigh(gram)
    kept = values > values[-1] * 1e-12
    return values[kept], vectors[:, kept]


def solve(x: np.ndarray, y: np.ndarray, mask: np.ndarray, multiclass: bool, strength: float) -> np.ndarray:
    """Minimises summed masked cross-entropy + strength / 2 * squared weights: weights and, last row, bias [D + 1, k].

    The bias is held by one pseudo-track at the mean embedding with even targets, so that a tag without positives gets a
    low but finite score.
    """
    values, basis = _directions(x)
    start = np.zeros((x.shape[1] + 1, y.shape[1]))
    return _solve(x, y, mask, multiclass, strength, basis / np.sqrt(values / 4 + strength), start)


def _solve(
    x: np.ndarray,
    y: np.ndarray,
    mask: np.ndarray,
    multiclass: bool,
    strength: float,
    basis: np.ndarray,
    start: np.ndarray,
) -> np.ndarray:
    def expand(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rotated = flat.reshape(-1, y.shape[1])
        return basis @ rotated[:-1], rotated[-1]

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = expand(flat)
        loss, slopes, bias_slope = _regularised(x, y, mask, multiclass, strength, weights, bias)
        return loss, np.vstack([basis.T @ slopes, bias_slope]).ravel()

    rotated = np.linalg.lstsq(basis, start[:-1], rcond=None)[0]
    begin = np.vstack([rotated, start[-1]]).ravel()
    found = minimize(objective, begin, jac=True, method="L-BFGS-B", options={"maxiter": _MAX_ITERATIONS})
    return np.vstack(expand(found.x))


def _regularised(
    x: np.ndarray,
    y: np.ndarray,
    mask: np.ndarray,
    multiclass: bool,
    strength: float,
    weights: np.ndarray,
    bias: np.ndarray,
) -> tuple[float, np.ndarray, np.ndarray]:
    """The objective and its slopes by weights and bias, the rows taken in blocks."""
    loss, bias_slope = _prior(bias, multiclass)
    slopes = strength * weights
    for begin in range(0, len(x), BLOCK):
        rows = slice(begin, begin + BLOCK)
        part, slope = data_loss(x[rows] @ weights + bias, y[rows], mask[rows], multiclass)
        loss += part
        slopes += x[rows].T @ slope
        bias_slope += slope.sum(axis=0)
    return loss + 0.5 * strength * float(np.sum(weights**2)), slopes, bias_slope


def _prior(bias: np.ndarray, multiclass: bool) -> tuple[float, np.ndarray]:
    even = np.full((1, len(bias)), 1.0 / len(bias) if multiclass else 0.5)
    loss, slope = data_loss(bias[None], even, np.ones_like(even), multiclass)
    return loss, slope[0]


def data_loss(logits: np.ndarray, y: np.ndarray, mask: np.ndarray, multiclass: bool) -> tuple[float, np.ndarray]:
    """Summed masked cross-entropy and its slope by the logits: all [n, k]."""
    if multiclass:
        known = mask.min(axis=1, keepdims=True)
        top = logits.max(axis=1, keepdims=True)
        log_sum = top + np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
        weight = (y * known).sum(axis=1, keepdims=True)
        return float(np.sum(y * known * (log_sum - logits))), weight * softmax(logits) - y * known
    loss = np.maximum(logits, 0) - logits * y + np.log1p(np.exp(-np.abs(logits)))
    return float(np.sum(loss * mask)), mask * (sigmoid(logits) - y)
