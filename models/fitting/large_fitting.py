"""Fits heads on millions of tracks and hundreds of tags: reads embeddings in blocks and fits all tags at once.

Strengths, and whether learned blocks are used, are chosen on samples. The fit on all tracks starts from the solutions
of the samples. Memory is a few blocks and the arrays of the heads, whatever the number of tracks. Embeddings, targets
and masks may be memory-mapped and of any number type.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from models.embedding.blocks import Block, columns_of
from models.fitting.balance import ClassWeights
from models.fitting.labelled import LabelledRows
from models.fitting.lbfgs import minimise
from models.fitting.logistic import row_losses
from models.scoring.heads import Group, Heads, fitted_columns

MATRIX_ROWS = 1024
"""Rows per block of float32 values, so few that their logits stay in the processor's cache."""

DESCENT_TOLERANCE = 1e-5
"""A fit ends when a step reduces the loss by less than this share, far below the sampling error of tracks."""

MOST_STEPS = 60


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """Categories that use the same blocks and are fitted together.

    Attributes:
      groups: the categories.
      blocks: the blocks that they use.
      strengths: L2 strength of each category.
    """

    groups: tuple[Group, ...]
    blocks: tuple[Block, ...]
    strengths: tuple[float, ...]


def refine(train: LabelledRows, start: Heads, part: Part, scales: np.ndarray, weights: ClassWeights) -> Heads:
    """Fits the heads of one part on all training rows. Returns `start` with new weights for this part.

    Args:
      train: all training rows.
      start: standardisation and initial weights.
      part: categories and their blocks.
      scales: float64 [D], factors of standardised values, applied before the penalty.
      weights: class weights in the loss.
    """
    problem = _Rows(train, start, part, scales, weights)
    values, basis = np.linalg.eigh(problem.gram())
    spread = np.maximum(values, 0.0)[:, None] * problem.curvature() + problem.strengths
    # The curvature of a bias is the sum over its known rows, plus 1/4 for its pseudo-track.
    level = problem.curvature() * len(train) + 0.25
    stretch = np.vstack([1 / np.sqrt(spread), 1 / np.sqrt(level)])
    first = np.vstack([basis.T @ problem.start, problem.start_bias])

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        params = stretch * flat.reshape(first.shape)
        loss, slopes = problem.objective(basis @ params[:-1], params[-1])
        return loss, (stretch * np.vstack([basis.T @ slopes[:-1], slopes[-1]])).ravel()

    found = minimise(objective, (first / stretch).ravel(), tolerance=DESCENT_TOLERANCE, max_iterations=MOST_STEPS)
    params = stretch * found.reshape(first.shape)
    new_weights, new_bias = start.weights.copy(), start.bias.copy()
    new_weights[:, problem.outputs] = 0
    new_weights[np.ix_(problem.columns, problem.outputs)] = (basis @ params[:-1]) * problem.scales[:, None]
    new_bias[problem.outputs] = params[-1] - weights.bias[problem.outputs]
    return dataclasses.replace(start, weights=new_weights, bias=new_bias)


class _Rows:
    """The penalised loss of one part over all rows, computed block by block in float32."""

    def __init__(
        self, train: LabelledRows, start: Heads, part: Part, scales: np.ndarray, weights: ClassWeights
    ) -> None:
        self._train, self._part, self._weights = train, part, weights
        self.columns = columns_of(part.blocks)
        self.scales = scales[self.columns]
        self.outputs = np.array([column for group in part.groups for column in fitted_columns(group)])
        sizes = [len(fitted_columns(group)) for group in part.groups]
        self.strengths = np.repeat(np.array(part.strengths), sizes)
        self._mean = start.mean[self.columns].astype(np.float32)
        self._factor = (self.scales / start.scale[self.columns]).astype(np.float32)
        self.start_bias = start.bias[self.outputs] + weights.bias[self.outputs]
        self.start = start.weights[np.ix_(self.columns, self.outputs)] / self.scales[:, None]
        self._value_columns, self._target_columns = _span(self.columns), _span(self.outputs)
        ends = np.cumsum([0, *sizes])
        self._slices = [slice(*ends[i : i + 2]) for i in range(len(sizes))]

    def _blocks(self) -> Iterator[tuple[np.ndarray, slice]]:
        for begin in range(0, len(self._train), MATRIX_ROWS):
            rows = slice(begin, begin + MATRIX_ROWS)
            values = np.asarray(self._train.embeddings[rows])[:, self._value_columns].astype(np.float32)
            yield (values - self._mean) * self._factor, rows

    def gram(self) -> np.ndarray:
        """x.T @ x, float64."""
        found = np.zeros((len(self.columns),) * 2)
        for x, _ in self._blocks():
            found += x.T @ x
        return found

    def curvature(self) -> np.ndarray:
        """Mean curvature of each output's loss at a score equal to its prevalence: [k]."""
        share = self._weights.prevalence[self.outputs]
        mean: np.ndarray = np.maximum(share * (1 - share), 1e-6) * self._weights.known[self.outputs]
        return mean / max(len(self._train), 1)

    def objective(self, weights: np.ndarray, bias: np.ndarray) -> tuple[float, np.ndarray]:
        """The penalised loss and its gradient [D + 1, k], with the pseudo-track of `models.fitting.logistic`."""
        slopes = np.vstack([self.strengths * weights, np.zeros(len(bias))])
        loss = 0.5 * float(np.sum(self.strengths * weights**2))
        for group, place in zip(self._part.groups, self._slices, strict=True):
            outputs = place.stop - place.start
            even = np.full((1, outputs), 1 / outputs if group.kind == "multiclass" else 0.5)
            prior, slope = row_losses(bias[None, place], even, np.ones_like(even), group.kind == "multiclass")
            loss += float(prior.sum())
            slopes[-1, place] += slope[0]
        small = weights.astype(np.float32)
        for x, rows in self._blocks():
            logits = x @ small + bias.astype(np.float32)
            slope = np.empty_like(logits)
            targets = np.asarray(self._train.targets[rows])[:, self._target_columns].astype(np.float32, copy=False)
            mask = np.asarray(self._train.mask[rows])[:, self._target_columns].astype(np.float32, copy=False)
            for group, place in zip(self._part.groups, self._slices, strict=True):
                multiclass = group.kind == "multiclass"
                weighted = self._weights.of(self.outputs[place], targets[:, place], mask[:, place], multiclass)
                losses, slope[:, place] = row_losses(logits[:, place], targets[:, place], weighted, multiclass)
                loss += float(losses.sum(dtype=np.float64))
            slopes[:-1] += x.T @ slope
            slopes[-1] += slope.sum(axis=0, dtype=np.float64)
        return loss, slopes


def _span(columns: np.ndarray) -> slice | np.ndarray:
    """The same columns, as a slice if they are consecutive: a slice is not copied and keeps the memory order."""
    follow = np.arange(columns[0], columns[0] + len(columns))
    return slice(int(columns[0]), int(columns[0]) + len(columns)) if np.array_equal(columns, follow) else columns
