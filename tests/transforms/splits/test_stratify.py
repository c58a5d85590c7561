"""Stratified splits: even shares, whole groups, nobody moves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.splits.by_artist import SPLITS, SplitRatios
from transforms.splits.stratify import OPEN, OUT, count_tags, deviations, stratify
from transforms.splits.survey import TagRows

RATIOS = SplitRatios(train=0.6, validation=0.2, test=0.2)


def catalog(seed, tracks=3000, groups=300, tags=30):
    """Groups of uneven size, each with a taste of its own: (group of each track, pair tracks, pair tags)."""
    rng = np.random.default_rng(seed)
    group = (rng.pareto(1.5, tracks) * groups / 10).astype(np.int64) % groups
    taste = rng.integers(0, tags, (groups, 4))
    pairs = np.unique(
        np.repeat(np.arange(tracks), 3) * tags + taste[np.repeat(group, 3), rng.integers(0, 4, tracks * 3)]
    )
    return group, pairs // tags, pairs % tags


def rows(pair_tracks, pair_tags, tracks):
    """Pairs in order of their tracks as sparse rows."""
    order = np.lexsort((pair_tags, pair_tracks))
    starts = np.searchsorted(pair_tracks[order], np.arange(tracks + 1))
    return TagRows(starts=starts, tags=pair_tags[order].astype(np.int16))


def split(group, pair_tracks, pair_tags, fixed=None, groups=300, tags=30, ratios=RATIOS):
    counts = count_tags(rows(pair_tracks, pair_tags, len(group)), group, groups, tags)
    sides = np.full(groups, OPEN, np.int8) if fixed is None else fixed
    return stratify(counts, np.bincount(group, minlength=groups), sides, ratios)


def test_counts_are_those_of_the_pairs():
    carried = rows(np.array([0, 1, 2, 2]), np.array([1, 0, 1, 3]), 3)
    counts = count_tags(carried, np.array([2, 0, 2]), 4, 5)
    assert [tuple(map(list, counts.of(g))) for g in range(4)] == [([0], [1]), ([], []), ([1, 3], [2, 1]), ([], [])]
    assert counts.groups.tolist() == [0, 2, 2]


def test_every_group_gets_a_side_and_shares_come_out():
    group, pair_tracks, pair_tags = catalog(0)
    sides = split(group, pair_tracks, pair_tags)
    assert set(sides.tolist()) == {0, 1, 2}
    shares = np.bincount(sides[group], minlength=3) / len(group)
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.2], atol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_tags_are_much_more_even_than_by_chance(seed):
    group, pair_tracks, pair_tags = catalog(seed)
    made = split(group, pair_tracks, pair_tags)
    chance = np.random.default_rng(seed).choice(3, 300, p=[0.6, 0.2, 0.2]).astype(np.int8)
    off, by_chance = (
        np.abs(deviations(rows(pair_tracks, pair_tags, len(group)), sides[group], 30, RATIOS)).mean()
        for sides in (made, chance)
    )
    assert off < by_chance / 3 and off < 0.04


def test_the_same_split_every_time():
    assert split(*catalog(5)).tobytes() == split(*catalog(5)).tobytes()


def test_old_groups_keep_their_side_and_new_ones_balance_them():
    group, pair_tracks, pair_tags = catalog(1)
    fixed = np.full(300, OPEN, np.int8)
    fixed[:100] = 0
    fixed[100:105] = OUT
    sides = split(group, pair_tracks, pair_tags, fixed)
    assert (sides[:100] == 0).all() and (sides[100:105] == OUT).all() and (sides[105:] != OPEN).all()
    assert (sides[105:] == 0).mean() < 0.6


def test_a_side_without_a_share_gets_nothing():
    ratios = SplitRatios(train=0.9, validation=0.1, test=0.0)
    assert SPLITS.index("test") not in split(*catalog(2), ratios=ratios)


def test_groups_without_tags_fill_the_sides():
    group = np.arange(10)
    sides = split(group, np.array([], np.int64), np.array([], np.int64), groups=10, tags=3)
    assert np.bincount(sides, minlength=3).tolist() == [6, 2, 2]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), max_size=60))
def test_any_catalog_is_split(pairs):
    group = np.arange(8)
    pairs = sorted(set(pairs))
    tracks, tags = (np.array([pair[i] for pair in pairs], np.int64) for i in (0, 1))
    sides = split(group, tracks, tags, groups=8, tags=6)
    assert set(sides.tolist()) <= {0, 1, 2}


def test_deviations_are_shares_minus_ratios():
    off = deviations(rows(np.arange(4), np.zeros(4, int), 4), np.array([0, 0, 1, OUT], np.int8), 2, RATIOS)
    np.testing.assert_allclose(off[:, 0], [2 / 3 - 0.6, 1 / 3 - 0.2, -0.2])
    assert not off[:, 1].any()
