"""Walks from one track to another."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.discovery.search.vocabulary import DiscoveryError
from transforms.discovery.walk import arc_points, find_walk, shortest_walk


def unit(rng, *shape):
    found = rng.normal(size=shape)
    return (found / np.linalg.norm(found, axis=-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    ("first", "last", "between"), [("track-0001", "track-0042", 6), ("track-0100", "track-0007", 25)]
)
def test_a_walk_has_no_repeats_and_moves_from_one_end_to_the_other(composed, first, last, between):
    steps = find_walk(composed, first, last, between)
    ids = [step.track_id for step in steps]
    assert ids[0] == first and ids[-1] == last and 2 < len(set(ids)) == len(ids) <= between + 2
    assert np.corrcoef([step.to_first for step in steps], range(len(steps)))[0, 1] < -0.5
    assert np.corrcoef([step.to_last for step in steps], range(len(steps)))[0, 1] > 0.5
    assert np.mean([step.from_last for step in steps[1:]]) > steps[-1].to_first
    assert all(len(step.changes) == 3 for step in steps[1:]) and steps[0].changes == ()


def test_the_way_back_is_as_short(composed):
    there, back = (
        find_walk(composed, *ends, 5) for ends in (("track-0001", "track-0042"), ("track-0042", "track-0001"))
    )
    angles = [sum(np.arccos(step.from_last) ** 2 for step in steps[1:]) for steps in (there, back)]
    assert angles[0] == pytest.approx(angles[1], rel=1e-3)


@given(st.integers(0, 10_000))
@settings(max_examples=25)
def test_no_other_walk_is_shorter(seed):
    rng = np.random.default_rng(seed)
    vectors, ends = unit(rng, 7, 4), unit(rng, 2, 4)
    layers = [[0, 1, 2], [], [3, 4], [5, 6]]

    def length(rows):
        way = [ends[0], *vectors[list(rows)], ends[1]]
        return sum(np.arccos(np.clip(float(a @ b), -1, 1)) ** 2 for a, b in itertools.pairwise(way))

    best = min(length(rows) for rows in itertools.product(*filter(None, layers)))
    assert length(shortest_walk(layers, vectors, ends)) == pytest.approx(best, rel=1e-4)


def test_points_are_even_on_the_sphere():
    first, last = unit(np.random.default_rng(1), 2, 8)
    way = [first, *arc_points(first, last, 4), last]
    angles = [np.arccos(float(a @ b)) for a, b in itertools.pairwise(way)]
    assert np.ptp(angles) < 1e-3 and np.allclose(np.linalg.norm(way, axis=1), 1, atol=1e-5)
    assert np.allclose(arc_points(first, first, 2), first, atol=1e-6)


@pytest.mark.parametrize(
    ("ends", "words"), [(("track-0001", "track-0001"), "two tracks"), (("track-0001", "x"), "track x: snapshot")]
)
def test_what_has_no_walk_is_refused(composed, ends, words):
    with pytest.raises(DiscoveryError, match=words):
        find_walk(composed, *ends, 4)
