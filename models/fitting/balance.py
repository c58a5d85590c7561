"""Class balance: the weight of each row in the loss, and the correction of the bias of a head."""

import dataclasses
from typing import Literal, get_args

import numpy as np

from models.fitting.labelled import LabelledRows, known_counts, tag_counts
from models.scoring.heads import Layout

Balance = Literal["none", "effective", "inverse"]

BALANCES: tuple[Balance, ...] = get_args(Balance)

_BETA = 0.999
"""Parameter beta of the effective number of tracks (Cui et al. 2019)."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ClassWeights:
    """Weights in the loss, float64 [T] each.

    Attributes:
      positive: weight of a row that carries the tag.
      negative: weight of a row that lacks the tag; not used in a multiclass category.
      bias: what the weights add to the tag's logit. It is subtracted after fitting, so that scores are probabilities.
      known: number of rows in which the tag is known.
      prevalence: share of the known rows that carry the tag.
    """

    positive: np.ndarray
    negative: np.ndarray
    bias: np.ndarray
    known: np.ndarray
    prevalence: np.ndarray

    def of(self, columns: np.ndarray, y: np.ndarray, mask: np.ndarray, multiclass: bool) -> np.ndarray:
        """The mask [n, k] of these tags, multiplied by the weight of each row for each tag."""
        positive, negative = (weights[columns].astype(y.dtype) for weights in (self.positive, self.negative))
        if np.all(positive == 1) and np.all(negative == 1):
            return mask
        if multiclass:
            weighed: np.ndarray = mask * (y @ positive)[:, None]
        else:
            weighed = mask * (y * positive + (1 - y) * negative)
        return weighed


def class_weights(rows: LabelledRows, layout: Layout, balance: Balance) -> ClassWeights:
    """Weights of all tags, with mean 1 over tracks.

    `inverse` gives every class the same total weight. `effective` is close to `inverse` for rare classes, and balances
    less beyond a thousand tracks. `none` gives every row weight 1: the plain likelihood.
    """
    known, carried = known_counts(rows.mask), tag_counts(rows.targets, rows.mask)
    positive, negative = np.ones(layout.size), np.ones(layout.size)
    bias = np.zeros(layout.size)
    if balance != "none":
        for group in layout.groups:
            columns = list(group.columns)
            if group.kind == "multiclass":
                positive[columns] = _weights(carried[columns], balance)
                bias[columns] = np.log(positive[columns])
                continue
            for column in columns:
                sides = np.array([carried[column], known[column] - carried[column]])
                positive[column], negative[column] = _weights(sides, balance)
                bias[column] = np.log(positive[column] / negative[column])
    return ClassWeights(
        positive=positive, negative=negative, bias=bias, known=known, prevalence=carried / np.maximum(known, 1)
    )


def _weights(counts: np.ndarray, balance: Balance) -> np.ndarray:
    """Weight of each class from its number of tracks, with mean 1 over tracks; all 1 if a class has no tracks."""
    if np.any(counts <= 0):
        return np.ones(len(counts))
    amount = counts if balance == "inverse" else (1 - _BETA**counts) / (1 - _BETA)
    weights: np.ndarray = (counts.sum() / np.sum(counts / amount)) / amount
    return weights
