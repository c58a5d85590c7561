"""The tag similarity of tracks, and embeddings that follow it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.similarity import rarity, similarity_loss, tag_similarity
from tests.support.tiny import SPEC, TAXONOMY, write_dataset
from transforms.dataset.example import Example


def similarity(targets, mask=None, weights=None) -> tuple[np.ndarray, np.ndarray]:
    targets = np.asarray(targets, np.float32)
    mask = np.ones_like(targets) if mask is None else np.asarray(mask, np.float32)
    weights = np.ones(targets.shape[1], np.float32) if weights is None else np.asarray(weights, np.float32)
    alike, comparable = tag_similarity(targets * mask, mask, weights)
    return alike.numpy(), comparable.numpy()


def test_a_shared_rare_tag_makes_more_alike_than_a_shared_common_one():
    """The 2018 tutorial divides by the inverse document frequency, so that rare tags weigh less."""
    weights = rarity(positive=[5, 900, 100, 100], known=[1000] * 4)
    assert weights[0] > weights[2] > weights[1] > 0
    rare, common = [1, 0, 1, 0], [0, 1, 1, 0]
    others = [[1, 0, 0, 1], [0, 1, 0, 1]]
    alike, _ = similarity([rare, common, *others], weights=weights)
    assert alike[0, 2] > alike[1, 3] > 0


@given(
    st.lists(st.lists(st.sampled_from([0, 0.1, 0.3, 0.7, 1]), min_size=5, max_size=5), min_size=2, max_size=6),
    st.integers(0, 2**20),
)
def test_a_similarity_is_never_over_one(targets, seed):
    """The tutorial's Dice coefficient on weighted tags is."""
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 2, (len(targets), 5))
    alike, comparable = similarity(targets, mask, rng.uniform(0.1, 9, 5))
    assert (alike >= 0).all() and (alike <= 1).all() and (alike == alike.T).all()
    assert (alike[comparable == 0] == 0).all()


def test_the_same_tags_are_alike_and_different_ones_are_not():
    alike, comparable = similarity([[1, 0.5, 0], [1, 0.5, 0], [0, 0, 1]], weights=[3, 1, 2])
    np.testing.assert_allclose(alike, [[1, 1, 0], [1, 1, 0], [0, 0, 1]], atol=1e-6)
    assert comparable.all()


def test_only_tags_known_of_both_count():
    targets, mask = [[1, 1, 0], [1, 0, 0], [0, 0, 0]], [[1, 1, 1], [1, 0, 0], [0, 0, 1]]
    alike, comparable = similarity(targets, mask)
    assert alike[0, 1] == pytest.approx(1), "that the first carries the second tag says nothing about the second track"
    assert comparable.tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_the_loss_is_zero_where_embeddings_are_as_alike_as_tags():
    packed = np.concatenate([np.eye(3), np.ones((3, 3))], axis=1).astype(np.float32)
    loss = similarity_loss(np.ones(3, np.float32))
    assert loss(packed, 5 * np.eye(3, dtype=np.float32)).numpy() == pytest.approx(0)
    assert loss(packed, np.ones((3, 2), np.float32)).numpy() == pytest.approx(1)


def test_tracks_that_compare_with_nothing_add_nothing():
    packed = np.zeros((4, 6), np.float32)
    assert (similarity_loss(np.ones(3, np.float32))(packed, np.ones((4, 2), np.float32)).numpy() == 0).all()


@pytest.fixture(scope="module")
def many_tags(tmp_path_factory) -> tuple[Path, list[Example]]:
    """Tracks whose five tags are five bands, some rare: 160 to train on, 60 held out."""
    examples = [_banded(number) for number in range(220)]
    sides = {"train": examples[:160], "validation": examples[160:]}
    return write_dataset(tmp_path_factory.mktemp("banded") / "dataset", sides, SPEC, TAXONOMY), examples[160:]


def _banded(number: int) -> Example:
    rng = np.random.default_rng(number)
    carried = rng.random(3) < (0.5, 0.3, 0.15)
    vocal, genre = rng.integers(2), rng.integers(3)
    patches = rng.normal(-40, 5, (3, *SPEC.patch_shape)) + rng.normal(0, 6)
    for band, present in enumerate([vocal, *(genre == g for g in range(3)), *carried]):
        patches[:, :, 2 * band : 2 * band + 2] += 9 * present
    targets = np.array([vocal, 1 - vocal, *(genre == g for g in range(3)), *carried], np.float32)
    return Example(
        track_id=f"track-{number:03d}",
        group=f"artist-{number}",
        duration_s=9.0,
        patches=patches.astype(np.float16),
        starts_s=np.arange(3, dtype=np.float32),
        targets=targets,
        mask=np.ones(8, np.float32),
        feature_id=SPEC.feature_id,
        taxonomy_id=TAXONOMY.taxonomy_id,
    )


@pytest.mark.long
def test_neighbours_share_more_tags_with_it_than_without(many_tags):
    without, with_it = (shared_with_neighbours(many_tags, weight) for weight in (0.0, 3.0))
    print(f"tag similarity of the 5 nearest neighbours: {without:.3f} without, {with_it:.3f} with the loss")
    assert with_it > without + 0.02


def shared_with_neighbours(many_tags: tuple[Path, list[Example]], weight: float) -> float:
    """Mean tag similarity of held-out tracks to their five nearest neighbours by cosine of the embedding."""
    from models.training.options import TrainingOptions
    from models.training.trainer import train_trunk
    from models.trunks.keras_trunk import as_function
    from transforms.dataset.manifest import read_manifest

    folder, held_out = many_tags
    manifest = read_manifest(str(folder))
    shards = [str(folder / shard.path) for shard in manifest.shards_of("train")]
    options = TrainingOptions(epochs=10, similarity_weight=weight)
    run = as_function(train_trunk(manifest, shards, held_out, options).trunk)
    embedded = np.stack([run(track.patches.astype(np.float32)).mean(axis=0) for track in held_out])
    unit = embedded / np.linalg.norm(embedded, axis=1, keepdims=True)
    weights = rarity(manifest.tag_positive["train"], manifest.tag_known["train"])
    alike, _ = similarity([track.targets for track in held_out], weights=weights)
    near = np.argsort(-(unit @ unit.T - 2 * np.eye(len(unit))), axis=1)[:, :5]
    return float(np.take_along_axis(alike, near, axis=1).mean())
