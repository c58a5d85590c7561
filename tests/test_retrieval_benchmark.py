"""The arithmetic of the benchmarks of similarity and of hidden tags."""

import numpy as np
import pytest

from benchmarks.hidden_tags import LEAST_HIDDEN, PAIRS, gains_rated, queries
from benchmarks.intervals import mean_interval, resampled_means
from benchmarks.retrieval import Clips, damped, embeddings_of, hits, hubness, same_source


def test_precision_counts_clips_of_other_groups_that_share_a_label() -> None:
    rng = np.random.default_rng(1)
    near, groups = rng.random((40, 40)), rng.integers(0, 15, 40)
    labels = [{f"label/{n}" for n in range(4) if rng.random() < 0.3} for _ in range(40)]
    expected = {}
    for clip in range(40):
        others = [n for n in range(40) if groups[n] != groups[clip] and labels[n]]
        best = sorted(others, key=lambda n: -near[clip, n])[:10]
        if labels[clip] and sum(bool(labels[n] & labels[clip]) for n in others) >= 3:
            expected[clip] = sum(bool(labels[n] & labels[clip]) for n in best) / 10
    values, owners = hits(near, labels, groups)
    assert values.tolist() == pytest.approx(list(expected.values()))
    assert owners.tolist() == [groups[clip] for clip in expected]


def test_same_source_and_hubs() -> None:
    groups = np.array(["a", "a", "b", *"cdefghijkl"])
    near = np.eye(13)
    near[:, 2] = 0.9  # everybody's neighbour
    near[0, 1] = near[1, 0] = 0.95
    assert same_source(near, groups) == 1
    skewness, never = hubness(near)
    assert 0 <= never < 1 and np.isfinite(skewness)
    lowered = damped(near)
    assert (near - lowered)[0, 2] >= 0 and lowered.shape == near.shape


def test_embeddings_have_the_parts_of_a_bundle() -> None:
    found = {"one": np.arange(8.0).reshape(2, 4), "two": np.ones((2, 2)), "statistics": np.zeros((2, 3))}
    values, parts = embeddings_of(Clips(found, np.array(["a", "b"]), {}), ["one", "two"], True)
    assert [(part.name, part.kind, part.start, part.stop) for part in parts] == [
        ("one", "mean", 0, 2),
        ("two", "mean", 2, 3),
        ("one", "deviation", 3, 5),
        ("two", "deviation", 5, 6),
        ("statistics", "statistics", 6, 9),
    ]
    assert values[0].tolist() == [0, 1, 1, 2, 3, 1, 0, 0, 0]


def test_intervals_resample_whole_groups() -> None:
    assert mean_interval(np.full(5, 0.25)) == "0.250 (0.250 to 0.250)"
    values, groups = np.array([0.0, 0, 1, 1]), np.array(["a", "a", "b", "b"])
    assert set(resampled_means(values, groups).tolist()) == {0.0, 0.5, 1.0}
    assert len(set(resampled_means(values).tolist())) == 5


def test_queries_have_enough_hidden_tracks_and_shown_ones_are_not_rated() -> None:
    rng = np.random.default_rng(0)
    tags = [f"tag/{n:02}" for n in range(40)]
    truth = {f"t{n:03}": frozenset(rng.choice(tags, 8, replace=False).tolist()) for n in range(200)}
    named = frozenset((track, tag) for track, own in truth.items() for tag in own if tag == "tag/00")
    asked = list(queries(truth, named))
    assert ("tag/00",) not in asked and all("tag/00" not in query for query in asked)
    assert len([query for query in asked if len(query) == 2]) == PAIRS
    for (tag,) in (query for query in asked if len(query) == 1):
        assert sum(tag in own for own in truth.values()) >= LEAST_HIDDEN
    shown = {"t000"}
    ranked = sorted(truth.keys() - shown, key=lambda track: "tag/01" not in truth[track])
    assert gains_rated(ranked, ("tag/01",), truth, shown) == pytest.approx([1, 1])
