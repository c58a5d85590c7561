"""Fits the published heads on track embeddings, with a regularisation strength per category.

A track embedding has two kinds of blocks. Fixed blocks have no label information: statistics and ready-made trunks.
Their strength and scales are cross-validated by artist over training and validation tracks together, and the head is
then fitted on all these tracks, because few labels must not be wasted. Learned blocks were trained on the labels of the
tracks that heads are fitted on, and look better there than they are, so only validation tracks can rate them. A head on
all blocks is used if it reduces the validation loss by more than the standard error over artists.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from models.embedding.blocks import Block, check_blocks
from models.fitting.balance import Balance, class_weights
from models.fitting.category_fitting import EXACT, FitSetting, FittedHeads, fit_categories, plain_heads
from models.fitting.labelled import LabelledRows, known_categories, sample, standardiser
from models.fitting.large_fitting import Part, refine
from models.fitting.strengths import CHOICE_TOLERANCE, DEFAULT_STRENGTH, MOST_FOLDED, scaled_columns
from models.scoring.heads import Group, Heads, Layout, raw_logits

SAMPLE = 10_000
"""Most tracks per split on which the strength of a category is chosen if there are more than `MANY` tracks."""

MANY = 20_000
"""With more training tracks, heads are fitted together in blocks, except for categories known for few tracks."""

NEAR = 100_000
"""Training tracks of the first stage, which starts the fit on all tracks near its minimum."""


def fit_heads(
    train: LabelledRows, validation: LabelledRows, layout: Layout, blocks: Sequence[Block], balance: Balance = "none"
) -> FittedHeads:
    """Fits the heads of all categories, without calibration.

    Args:
      train: rows to fit on.
      validation: rows to choose on. Cross-validated heads, which use no learned block, are also fitted on them.
      layout: the categories.
      blocks: the blocks of an embedding.
      balance: class balance in the loss; scores are corrected for it.

    Raises:
      ValueError: the blocks do not cover the embedding.
    """
    check_blocks(blocks, train.embeddings.shape[1])
    setting = FitSetting(blocks=blocks, standard=standardiser(train.embeddings), balance=balance)
    if len(train) > MANY:
        return _fit_many(train, validation, layout, setting)
    rows = train.joined(validation)
    return fit_categories(rows, len(train), layout, setting, class_weights(rows, layout, balance))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _SeparateFit:
    """One category, fitted separately on tracks in which it is known.

    Attributes:
      group: the category.
      train: numbers of the training rows.
      validation: numbers of the validation rows.
      complete: whether these are all known rows; if not, they are a sample.
      fitted: the fitted heads, with the category's tags only.
    """

    group: Group
    train: np.ndarray
    validation: np.ndarray
    complete: bool
    fitted: FittedHeads


def _fit_many(train: LabelledRows, validation: LabelledRows, layout: Layout, setting: FitSetting) -> FittedHeads:
    """Fits categories known for few tracks on these, the others on all training rows with strengths from samples."""
    standard, blocks = setting.standard, setting.blocks
    known = [known_categories(rows.mask, layout.groups) for rows in (train, validation)]
    separate = [
        _fit_separately(train, validation, group, [np.flatnonzero(side[:, place]) for side in known], setting)
        for place, group in enumerate(layout.groups)
    ]
    weights, bias = np.zeros((len(standard[0]), layout.size)), np.zeros(layout.size)
    for one in separate:
        columns = list(one.group.columns)
        weights[:, columns], bias[columns] = one.fitted.heads.weights, one.fitted.heads.bias
    heads = plain_heads(standard, weights, bias)
    scales = scaled_columns([block.columns for block in blocks], [1.0] * len(blocks), len(weights))
    if parts := [part for values in ("all", "fixed") if (part := _part(values, separate, blocks))]:
        # The fit on a sample ends near the minimum, so few steps need all rows.
        stages = [train.sample(NEAR), train] if len(train) > 2 * NEAR else [train]
        weighed = [class_weights(rows, layout, setting.balance) for rows in stages]
        for part in parts:
            for rows, weights_of_classes in zip(stages, weighed, strict=True):
                heads = refine(rows, heads, part, scales, weights_of_classes)
    return _held_out(train, validation, heads, separate)


def _fit_separately(
    train: LabelledRows,
    validation: LabelledRows,
    group: Group,
    known: Sequence[np.ndarray],
    setting: FitSetting,
) -> _SeparateFit:
    """Fits one category on the training and validation rows in which it is known, or on a sample of each."""
    complete = len(known[0]) + len(known[1]) <= MOST_FOLDED
    chosen = known if complete else [sample(rows, SAMPLE) for rows in known]
    sides = [side.rows(rows).tags(group.columns) for side, rows in zip((train, validation), chosen, strict=True)]
    rows = sides[0].joined(sides[1])
    columns = tuple(range(len(group.columns)))
    layout = Layout(groups=(dataclasses.replace(group, columns=columns),), edges=(), size=len(columns))
    weighed = class_weights(rows if complete else sides[0], layout, setting.balance)
    setting = dataclasses.replace(setting, tolerance=EXACT if complete else CHOICE_TOLERANCE)
    fitted = fit_categories(rows, len(sides[0]), layout, setting, weighed)
    return _SeparateFit(group=group, train=chosen[0], validation=chosen[1], complete=complete, fitted=fitted)


def _part(values: str, separate: Sequence[_SeparateFit], blocks: Sequence[Block]) -> Part | None:
    """The sampled categories whose heads use these values; None if there is no such category."""
    found = [one for one in separate if not one.complete and one.fitted.fits[0].values == values]
    if not found:
        return None
    return Part(
        groups=tuple(one.group for one in found),
        blocks=tuple(block for block in blocks if values == "all" or not block.learned),
        strengths=tuple(one.fitted.fits[0].strength or DEFAULT_STRENGTH for one in found),
    )


def _held_out(
    train: LabelledRows, validation: LabelledRows, heads: Heads, separate: Sequence[_SeparateFit]
) -> FittedHeads:
    """Out-of-fold logits: for validation rows, and for the training rows that cross-validation scored."""
    folded = [one.train[one.fitted.mask[: len(one.train)].any(axis=1)] for one in separate if one.complete]
    added = np.unique(np.concatenate([np.zeros(0, np.int64), *folded]))
    rows = train.rows(added).joined(validation) if len(added) else validation
    logits, mask = raw_logits(rows.embeddings, heads, np.float32), np.zeros_like(rows.mask)
    for one in separate:
        columns = np.array(one.group.columns)
        if one.complete:
            kept = one.fitted.mask.any(axis=1)
            places = np.concatenate([np.searchsorted(added, one.train), len(added) + one.validation])[kept]
            logits[np.ix_(places, columns)] = one.fitted.logits[kept]
            mask[np.ix_(places, columns)] = one.fitted.mask[kept]
        elif one.fitted.fits[0].values != "none":
            mask[len(added) :, columns] = validation.mask[:, columns]
    fits = [one.fitted.fits[0] for one in separate]
    return FittedHeads(heads=heads, fits=fits, logits=logits, targets=rows.targets, mask=mask)
