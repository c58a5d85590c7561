"""Faults of the 2018 ISMIR tutorial on music tagging that this project must never have, a test or two each.

One has no counterpart here: precision at 20, of which the tutorial kept the last query's value only. No command
measures precision at k; that means are taken over all tags is held by the last test.
"""

import dataclasses

import numpy as np
import pytest

from models.fitting.tagger import build_tagger
from models.scoring.heads import layout_of, link
from models.scoring.metrics import MEASURES, macro
from tests.models.fitting.test_tagger import split_rows
from tests.support.tiny import SPEC, TAXONOMY
from transforms.features.logmel import log_mel
from transforms.splits.by_artist import SPLITS, SplitRatios, assign, group_of

LAYOUT = layout_of(TAXONOMY)
GENRE, MOOD = [2, 3, 4], [5, 6]


@pytest.fixture(scope="module")
def splits():
    return {name: split_rows(range(start, start + 40)) for name, start in zip(SPLITS, (0, 40, 80), strict=True)}


def build(splits, layout=LAYOUT):
    from models.embedding.blocks import whole

    return build_tagger(splits, layout, TAXONOMY.tag_ids, whole(SPEC.n_mels))


def similarity(targets, weights):
    from models.training.similarity import tag_similarity

    targets = np.asarray(targets, np.float32)
    return tag_similarity(targets, np.ones_like(targets), np.asarray(weights, np.float32))[0].numpy()


def test_rare_tags_weigh_more_in_tag_similarity():
    """The tutorial divides by the inverse document frequency."""
    from models.training.similarity import rarity

    weights = rarity(positive=[3, 800, 100, 100], known=[1000] * 4)
    alike = similarity([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]], weights)
    assert alike[0, 1] > alike[2, 3], "a shared rare tag makes more alike than a shared common one"


def test_no_tag_similarity_is_over_one():
    """The tutorial's Dice coefficient of weighted tags is."""
    targets = np.random.default_rng(0).random((30, 6))
    alike = similarity(targets, np.linspace(0.1, 9, 6))
    assert alike.max() <= 1 and np.diag(alike) == pytest.approx(np.ones(30))


def test_a_track_is_no_neighbour_of_itself():
    """The tutorial takes pairs of a track with itself by other indices than pairs of two."""
    from models.training.similarity import similarity_loss

    loss = similarity_loss(np.ones(3, np.float32))
    alone = np.array([[1, 0, 0, 1, 1, 1]], np.float32)
    assert loss(alone, np.ones((1, 2), np.float32)).numpy() == 0


def test_pairs_of_embeddings_and_of_tags_have_the_same_indices():
    from models.training.similarity import similarity_loss

    order = [2, 0, 1, 0]
    packed = np.concatenate([np.eye(3)[order], np.ones((4, 3))], axis=1).astype(np.float32)
    loss = similarity_loss(np.ones(3, np.float32))
    assert loss(packed, np.eye(3, dtype=np.float32)[order]).numpy() == pytest.approx(np.zeros(4))
    # Backwards, each track has one pair of three that is called alike, or different, and is not.
    assert loss(packed, np.eye(3, dtype=np.float32)[order[::-1]]).numpy() == pytest.approx(np.full(4, 1 / 3))


def test_scaling_never_sees_the_test_split(splits):
    """The tutorial fits its scaler before it splits."""
    moved = dataclasses.replace(splits["test"].embedded, embeddings=splits["test"].embedded.embeddings * 7 + 100)
    others = {**splits, "test": dataclasses.replace(splits["test"], embedded=moved)}
    assert build(others).heads.digest == build(splits).heads.digest


def test_scaling_is_saved_with_the_heads(splits):
    """The tutorial's scaler is lost when training ends."""
    heads = build(splits).heads
    again = type(heads).from_npz(heads.to_npz())
    np.testing.assert_array_equal(again.mean, heads.mean)
    np.testing.assert_array_equal(again.scale, heads.scale)
    assert np.ptp(heads.mean) > 0 and (heads.scale != 1).any()


@pytest.mark.parametrize("named", [{"artist_id": "a-{n}"}, {"artist": "Artist {n}"}, {"album_id": "b-{n}"}])
def test_no_artist_or_album_stands_on_two_sides(named):
    """The tutorial splits tracks, so albums stand on both sides."""
    empty = {"artist_id": None, "artist": None, "album_id": None}
    sides = {}
    for number in range(300):
        known = {name: text.format(n=number // 3) for name, text in named.items()}
        group = group_of({"track_id": f"t-{number}", **empty, **known})
        sides.setdefault(number // 3, set()).add(assign(group, SplitRatios(train=0.4, validation=0.3, test=0.3)))
    assert all(len(found) == 1 for found in sides.values()) and len(set.union(*sides.values())) == 3


def test_silence_is_the_quietest_there_is():
    """The tutorial puts 0, a high value, where the logarithm of 0 would be."""
    from transforms.features.spec import FeatureSpec

    spec = FeatureSpec()
    noise = np.random.default_rng(0).normal(0, 1e-4, spec.sample_rate).astype(np.float32)
    silent, quiet = log_mel(np.zeros_like(noise), spec), log_mel(noise, spec)
    assert np.isfinite(silent).all() and silent.max() <= quiet.min()


def test_moods_have_no_softmax_and_genres_have_one():
    """The tutorial's mood model keeps the softmax of its genre model."""
    scores = link(np.full((1, 8), 2.0), LAYOUT)
    assert scores[0, GENRE].sum() == pytest.approx(1)
    assert scores[0, MOOD] == pytest.approx(np.full(2, 1 / (1 + np.exp(-2.0))))


def test_heads_of_moods_know_nothing_of_genres(splits):
    """The tutorial's mood model starts from the weights of its genre model."""
    turned = {}
    for name, rows in splits.items():
        targets = rows.embedded.targets.copy()
        targets[:, GENRE] = targets[:, [3, 4, 2]]
        turned[name] = dataclasses.replace(rows, embedded=dataclasses.replace(rows.embedded, targets=targets))
    one, other = build(splits).heads, build(turned).heads
    np.testing.assert_array_equal(one.weights[:, MOOD], other.weights[:, MOOD])
    assert not np.array_equal(one.weights[:, GENRE], other.weights[:, GENRE])


def test_means_are_over_all_and_not_the_last():
    """The tutorial's mean of precision at 20 is the value of its last query."""
    rated = [dict.fromkeys(MEASURES, value) for value in (0.2, 0.6, 1.0)]
    assert macro(rated)["roc_auc"] == pytest.approx(0.6)
