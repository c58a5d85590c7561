"""Class balance: how much a row weighs in the loss, and what that adds to the bias of a head."""

from typing import Literal, get_args

import numpy as np

Balance = Literal["none", "effective", "inverse"]

BALANCES: tuple[Balance, ...] = get_args(Balance)

_BETA = 0.999
"""Share of new tracks that a further one brings: effective number of tracks, Cui et al. 2019."""


def weighted_mask(y: np.ndarray, mask: np.ndarray, multiclass: bool, balance: Balance) -> np.ndarray:
    """The mask [n, k] times the weight of each row for each output; weights are 1 on the mean.

    `inverse` gives every class the same total weight; `effective` about that for rare ones, and less beyond a thousand
    tracks; `none` leaves all as they are: the plain likelihood.
    """
    if balance == "none":
        return mask
    if multiclass:
        weights = _class_weights(np.sum(y * mask, axis=0), balance)
        return mask * (y @ weights)[:, None]
    positive, negative = _side_weights(y, mask, balance)
    return mask * (y * positive + (1 - y) * negative)


def correct_bias(y: np.ndarray, mask: np.ndarray, multiclass: bool, balance: Balance) -> np.ndarray:
    """What the weights add to each output's logit, to be taken off again so that scores stay probabilities: [k]."""
    if balance == "none":
        return np.zeros(y.shape[1])
    if multiclass:
        return np.log(_class_weights(np.sum(y * mask, axis=0), balance))
    positive, negative = _side_weights(y, mask, balance)
    return np.log(positive / negative)


def _side_weights(y: np.ndarray, mask: np.ndarray, balance: Balance) -> tuple[np.ndarray, np.ndarray]:
    """Weight of carrying each tag and of not carrying it: [k] each."""
    counts = np.stack([np.sum(y * mask, axis=0), np.sum((1 - y) * mask, axis=0)])
    weights = np.stack([_class_weights(column, balance) for column in counts.T], axis=1)
    return weights[0], weights[1]


def _class_weights(counts: np.ndarray, balance: Balance) -> np.ndarray:
    """Weight of each class of so many tracks, 1 on the mean over tracks; a class without any gets 1."""
    counts = np.asarray(counts, np.float64)
    amount = counts if balance == "inverse" else (1 - _BETA**counts) / (1 - _BETA)
    weights = np.where(counts > 0, 1 / np.maximum(amount, 1e-9), 0.0)
    total = np.sum(weights * counts)
    return np.where(counts > 0, weights * counts.sum() / total, 1.0) if total > 0 else np.ones_like(counts)
