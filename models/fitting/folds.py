"""Stratified group folds for cross-validation: each group is in one fold, and every tag is spread evenly."""

from collections.abc import Sequence

import numpy as np


def deal_folds(groups: Sequence[str], carried: np.ndarray, folds: int) -> np.ndarray:
    """The fold of each row: int64 [n], 0 to `folds` - 1.

    Groups are dealt by tag, rarest tag first, and within a tag largest group first. Each goes to the fold with the
    fewest rows of that tag and, if equal, the fewest rows. The result depends on the groups' names, not on the order of
    the rows.

    Args:
      groups: the group of each row, such as its artist; all its rows go to the same fold.
      carried: bool [n, T], the tags that each row carries.
      folds: number of folds.
    """
    names, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sizes = np.bincount(codes, minlength=len(names))
    counts = np.zeros((len(names), carried.shape[1]))
    np.add.at(counts, codes, carried.astype(np.float64))
    held, rows = np.zeros((folds, carried.shape[1])), np.zeros(folds)
    fold = np.full(len(names), -1)

    def give(group: int, tag: int | None) -> None:
        lacks = held[:, tag] if tag is not None else rows
        chosen = int(np.lexsort((rows, lacks))[0])
        fold[group] = chosen
        held[chosen] += counts[group]
        rows[chosen] += sizes[group]

    for tag in np.argsort(counts.sum(axis=0), kind="stable").tolist():
        mine = np.flatnonzero((fold < 0) & (counts[:, tag] > 0))
        for group in mine[np.argsort(-counts[mine, tag], kind="stable")].tolist():
            give(group, tag)
    for group in np.flatnonzero(fold < 0)[np.argsort(-sizes[fold < 0], kind="stable")].tolist():
        give(group, None)
    return fold[codes]
