"""Sums of a dataset: exact, and the same in any order."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.catalog.limits import NAME_CHARS
from transforms.dataset import stats as stats_module
from transforms.dataset.example import Example
from transforms.dataset.stats import DatasetStats
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.targets import encode_targets

TAXONOMY = Taxonomy.from_json(
    {"categories": [{"name": "mood", "kind": "multilabel", "tags": ["mood/calm", "mood/loud"]}]}
)


def stats_of(track, split="train"):
    rng = np.random.default_rng(track)
    labels = encode_targets([("mood/calm", None), ("x/y", None)], TAXONOMY)
    example = Example(
        track_id=str(track),
        group="g",
        duration_s=1.0,
        patches=(rng.normal(-30, 20, (2, 5, 3))).astype(np.float16),
        starts_s=np.zeros(2, np.float32),
        targets=labels.targets,
        mask=labels.mask,
        feature_id="f",
        taxonomy_id="t",
    )
    stats = DatasetStats()
    stats.add_example(split, example, labels.conflicts, labels.unknown)
    return stats, example


def test_moments_are_those_of_the_training_frames():
    parts = [stats_of(i) for i in range(4)] + [stats_of(9, "test")]
    mean, std = DatasetStats.total(stats for stats, _ in parts).mel_moments()
    frames = np.concatenate([example.patches.astype(np.float64).reshape(-1, 3) for _, example in parts[:4]])
    np.testing.assert_allclose(mean, frames.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(std, frames.std(axis=0), rtol=1e-6)


@given(st.permutations(range(6)))
def test_sums_are_the_same_in_any_order(order):
    total = DatasetStats.total(stats_of(i)[0] for i in order)
    assert total.mel_moments() == DatasetStats.total(stats_of(i)[0] for i in range(6)).mel_moments()


def test_tags_are_counted_per_split():
    total = DatasetStats.total([stats_of(1)[0], stats_of(2)[0], stats_of(3, "test")[0]])
    assert total.splits == {"train": 2, "test": 1}
    assert total.positive["train"].tolist() == [2, 0] and total.known["test"].tolist() == [1, 1]
    assert total.unknown == {"x/y": 3}


def test_outcomes_balance():
    stats = DatasetStats.total([stats_of(1)[0]])
    stats.add_reject("truncated")
    stats.add_none("tied")
    assert stats.outcomes == {"catalog": 3, "examples": 1, "rejected": 1, "none": 1}


def test_sums_survive_json():
    stats = DatasetStats.total([stats_of(1)[0], stats_of(3, "test")[0]])
    stats.add_none("unlabelled")
    assert DatasetStats.from_json(stats.to_json()).to_json() == stats.to_json()


@given(st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=12), st.randoms())
def test_unknown_tags_are_bounded_and_their_counts_exact(parts, random):
    """Also if sums of sums are made in any order."""
    most = 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stats_module, "MOST_UNKNOWN", most)
        sums = [DatasetStats(unknown=Counter(f"x/{number:02}" for number in part)) for part in parts]
        while len(sums) > 1:
            random.shuffle(sums)
            sums = [DatasetStats.total(sums[:3]), *sums[3:]]
            assert len(sums[0].unknown) <= 2 * most + 12
        counts = Counter(f"x/{number:02}" for part in parts for number in part)
        assert DatasetStats.total(sums).unknown_tags() == {tag: counts[tag] for tag in sorted(counts)[:most]}


def test_names_of_unknown_tags_are_cut():
    _, example = stats_of(0)
    stats = DatasetStats()
    stats.add_example("train", example, (), ["x/" + "y" * 10_000])
    assert [len(tag) for tag in stats.unknown_tags()] == [NAME_CHARS]
