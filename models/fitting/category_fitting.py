"""Fits the head of a category. Regularisation strength, scales and use of learned blocks depend on held-out tracks."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from models.embedding.blocks import Block, columns_of
from models.fitting.balance import Balance, ClassWeights
from models.fitting.gain import Gain
from models.fitting.labelled import LabelledRows
from models.fitting.logistic import LogisticProblem, Solution, path, row_losses
from models.fitting.strengths import (
    CHOICE_TOLERANCE,
    DEFAULT_STRENGTH,
    MOST_FOLDED,
    PATIENCE,
    STRENGTHS,
    cross_validated,
    scaled_columns,
)
from models.scoring.heads import Group, Heads, Layout, fitted_columns, raw_logits

EXACT = 1e-10
"""Tolerance for published heads: a fit ends when a step reduces the loss by less than this share."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FitSetting:
    """Settings that all categories of a bundle share.

    Attributes:
      blocks: the blocks of an embedding.
      standard: mean and standard deviation that standardise embeddings, float64 [D] each.
      balance: class balance in the loss; scores are corrected for it.
      tolerance: a fit ends when a step reduces the loss by less than this share.
    """

    blocks: Sequence[Block]
    standard: tuple[np.ndarray, np.ndarray]
    balance: Balance = "none"
    tolerance: float = EXACT


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadFit:
    """How one category's head was fitted.

    Attributes:
      category: its name.
      values: the blocks that it may use: `all`, `fixed` (those without label information), or `none` if no track is
        known.
      strength: L2 regularisation strength; None if no track is known.
      chosen_on: the data on which the strength was chosen.
      losses: strength -> mean loss per track on this data, for every strength tried.
      scales: scale of each block that it may use; 0: not used.
      fitted_on: the splits on which the published head was fitted.
      gain: how much the learned blocks reduce the mean validation loss; None if that was not tested, or if validation
        tracks have fewer than two artists.
    """

    category: str
    values: Literal["all", "fixed", "none"]
    strength: float | None
    chosen_on: str
    losses: Mapping[float, float]
    scales: Mapping[str, float] = dataclasses.field(default_factory=dict)
    fitted_on: tuple[str, ...] = ("train",)
    gain: Gain | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FittedHeads:
    """Heads without calibration, how they were fitted, and held-out logits.

    Attributes:
      heads: heads with slope 1 and offset 0.
      fits: one per category.
      logits: float64 [rows, T] (float32 with many training rows), validation rows last. They are held-out if `mask` is
        1. With many training rows, only those of cross-validated categories are included.
      targets: [rows, T].
      mask: [rows, T], 1 if the category is known and the logits are held-out: from a head not fitted on the row.
    """

    heads: Heads
    fits: list[HeadFit]
    logits: np.ndarray
    targets: np.ndarray
    mask: np.ndarray


def fit_categories(
    rows: LabelledRows, train: int, layout: Layout, setting: FitSetting, weighed: ClassWeights
) -> FittedHeads:
    """Fits the heads, one category after the other.

    Args:
      rows: labelled rows, the training split first.
      train: number of rows of the training split.
      layout: the categories.
      setting: settings of the fit.
      weighed: class weights in the loss.
    """
    weights, bias = np.zeros((len(setting.standard[0]), layout.size)), np.zeros(layout.size)
    logits, held_out = np.full(rows.targets.shape, np.nan), np.zeros(rows.targets.shape, bool)
    fits = []
    for group in layout.groups:
        columns = fitted_columns(group)
        known = np.flatnonzero(rows.mask[:, columns].max(axis=1) > 0)
        problem = _problem(rows, known, group, setting.standard, weighed)
        found = _fit_group(group.name, problem, int(np.sum(known < train)), setting)
        weights[:, columns], bias[columns] = found.weights, found.bias - weighed.bias[columns]
        unseen = known[found.held_out]
        logits[np.ix_(unseen, np.array(columns))] = found.logits[found.held_out] - weighed.bias[columns]
        held_out[np.ix_(unseen, np.array(group.columns))] = True
        fits.append(found.fit)
    heads = plain_heads(setting.standard, weights, bias)
    logits = np.where(np.isnan(logits), raw_logits(rows.embeddings, heads), logits)
    return FittedHeads(heads=heads, fits=fits, logits=logits, targets=rows.targets, mask=rows.mask * held_out)


def plain_heads(standard: tuple[np.ndarray, np.ndarray], weights: np.ndarray, bias: np.ndarray) -> Heads:
    """Heads without calibration."""
    ones, zeros = np.ones(len(bias)), np.zeros(len(bias))
    return Heads(mean=standard[0], scale=standard[1], weights=weights, bias=bias, slope=ones, offset=zeros)


def _problem(
    rows: LabelledRows,
    known: np.ndarray,
    group: Group,
    standard: tuple[np.ndarray, np.ndarray],
    weighed: ClassWeights,
) -> LogisticProblem:
    """The standardised rows in which the category is known."""
    mean, scale = standard
    columns = np.array(fitted_columns(group))
    y = rows.targets[np.ix_(known, columns)].astype(np.float64)
    mask = rows.mask[np.ix_(known, columns)].astype(np.float64)
    return LogisticProblem(
        x=(rows.embeddings[known].astype(np.float64) - mean) / scale,
        y=y,
        mask=weighed.of(columns, y, mask, group.kind == "multiclass"),
        groups=tuple(np.array(rows.groups, dtype=object)[known]) if rows.groups else (),
        multiclass=group.kind == "multiclass",
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Candidate:
    """A candidate for a category's head: weights [D, k], bias [k], and logits [n, k], held-out if `held_out` [n]."""

    weights: np.ndarray
    bias: np.ndarray
    logits: np.ndarray
    held_out: np.ndarray
    fit: HeadFit


def _fit_group(name: str, rows: LogisticProblem, train: int, setting: FitSetting) -> _Candidate:
    """The head of one category. The first `train` of its known rows are training rows."""
    blocks, tolerance = setting.blocks, setting.tolerance
    fixed = [block for block in blocks if not block.learned]
    if not train:
        nothing = HeadFit(category=name, values="none", strength=None, chosen_on="no known track", losses={})
        outputs = rows.y.shape[1]
        weights, bias = np.zeros((rows.x.shape[1], outputs)), np.zeros(outputs)
        return _Candidate(
            weights=weights, bias=bias, logits=np.zeros(rows.y.shape), held_out=np.zeros(len(rows), bool), fit=nothing
        )
    if not fixed:
        return _fit_validated(name, rows, train, blocks, "all", tolerance)
    if len(fixed) == len(blocks):
        return _fit_fixed(name, rows, train, fixed, tolerance)
    everything = _fit_validated(name, rows, train, blocks, "all", tolerance)
    return _better(_fit_fixed(name, rows, train, fixed, tolerance), everything, rows, train)


def _better(fixed: _Candidate, everything: _Candidate, rows: LogisticProblem, train: int) -> _Candidate:
    """Returns `everything` if it reduces the validation loss by more than its standard error, else `fixed`."""
    losses = [
        row_losses(found.logits[train:], rows.y[train:], rows.mask[train:], rows.multiclass)[0]
        for found in (fixed, everything)
    ]
    gain = Gain.of(losses[0], losses[1], rows.groups[train:] or range(len(rows) - train))
    chosen = everything if gain and gain.is_sure else fixed
    return dataclasses.replace(chosen, fit=dataclasses.replace(chosen.fit, gain=gain))


def _fit_fixed(name: str, rows: LogisticProblem, train: int, blocks: Sequence[Block], tolerance: float) -> _Candidate:
    """A head on blocks without label information. It is cross-validated for at most `MOST_FOLDED` tracks."""
    if len(rows) > MOST_FOLDED:
        return _fit_validated(name, rows, train, blocks, "fixed", tolerance)
    columns = [block.columns for block in blocks]
    if len(set(rows.groups or range(len(rows)))) < 2:
        return _fit_validated(name, rows, len(rows), blocks, "fixed", tolerance)
    choice = cross_validated(rows, columns)
    solution = _solution(
        rows, columns_of(blocks), scaled_columns(columns, choice.scales, rows.x.shape[1]), choice.strength, tolerance
    )
    fit = HeadFit(
        category=name,
        values="fixed",
        strength=choice.strength,
        scales={block.name: scale for block, scale in zip(blocks, choice.scales, strict=True)},
        chosen_on="cross-validation",
        fitted_on=("train", "validation") if len(rows) > train else ("train",),
        losses=choice.losses,
    )
    everywhere = np.ones(len(rows), bool)
    return _Candidate(
        weights=solution.weights, bias=solution.bias, logits=choice.held_out, held_out=everywhere, fit=fit
    )


def _fit_validated(
    name: str,
    rows: LogisticProblem,
    train: int,
    blocks: Sequence[Block],
    values: Literal["all", "fixed"],
    tolerance: float,
) -> _Candidate:
    """A head on training rows, with its strength chosen on validation rows. Learned blocks allow nothing else."""
    columns = columns_of(blocks)
    scales = scaled_columns([block.columns for block in blocks], [1.0] * len(blocks), rows.x.shape[1])
    place = np.arange(len(rows)) < train
    fitted, rest = (dataclasses.replace(part, x=part.x * scales) for part in (rows.rows(place), rows.rows(~place)))
    losses = _validated(fitted.values(columns), rest.values(columns))
    strength = min(losses, key=lambda tried: losses[tried]) if losses else DEFAULT_STRENGTH
    solution = _solution(rows.rows(place), columns, scales, strength, tolerance)
    fit = HeadFit(
        category=name,
        values=values,
        strength=strength,
        scales={block.name: 1.0 for block in blocks},
        chosen_on="validation" if losses else "nothing: the default",
        losses=losses,
    )
    logits = rows.x @ solution.weights + solution.bias
    return _Candidate(weights=solution.weights, bias=solution.bias, logits=logits, held_out=~place, fit=fit)


def _solution(
    rows: LogisticProblem, columns: np.ndarray, scales: np.ndarray, strength: float, tolerance: float
) -> Solution:
    """The head with this strength. Its weights [D, k] are for standardised values, and 0 outside of `columns`."""
    scaled = dataclasses.replace(rows, x=rows.x[:, columns] * scales[columns])
    found = next(path(scaled, [strength], tolerance=tolerance))
    weights = np.zeros((rows.x.shape[1], rows.y.shape[1]))
    weights[columns] = found.weights * scales[columns, None]
    return dataclasses.replace(found, weights=weights)


def _validated(train: LogisticProblem, validation: LogisticProblem) -> dict[float, float]:
    """Mean validation loss of each strength; stops `PATIENCE` after the best one. Empty without validation rows."""
    losses: dict[float, float] = {}
    if not len(validation):
        return losses
    for solution in path(train, STRENGTHS[::2], tolerance=CHOICE_TOLERANCE):
        losses[solution.strength] = float(validation.losses(solution).mean())
        best = min(losses, key=lambda tried: losses[tried])
        if list(losses).index(best) + PATIENCE < len(losses):
            break
    return losses
