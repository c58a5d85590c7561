"""Folds for cross-validation."""

import numpy as np

from models.fitting.folds import deal_folds

RNG = np.random.default_rng(0)
GROUPS = tuple(f"artist-{n}" for n in RNG.integers(40, size=200))
CARRIED = RNG.random((200, 6)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05, 0.0])


def test_no_group_stands_in_two_folds():
    fold = deal_folds(GROUPS, CARRIED, 5)
    for name in set(GROUPS):
        assert len(set(fold[[group == name for group in GROUPS]])) == 1


def test_every_tag_is_dealt_evenly():
    alone = [str(n) for n in range(200)]
    fold = deal_folds(alone, CARRIED, 5)
    held = np.array([CARRIED[fold == k].sum(axis=0) for k in range(5)])
    assert (held.max(axis=0) - held.min(axis=0))[:5].max() <= 8
    assert set(np.bincount(fold)) <= set(range(36, 45))


def test_order_of_rows_does_not_matter():
    order = RNG.permutation(200)
    fold = deal_folds([GROUPS[i] for i in order], CARRIED[order], 5)
    assert (fold == deal_folds(GROUPS, CARRIED, 5)[order]).all()
