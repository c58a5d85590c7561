"""Training end to end on a dataset whose tags can be heard, and everything of it that needs TensorFlow."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.bundles.tagger_bundle import load_bundle
from models.bundles.trunk_bundle import BundleError
from models.scoring.heads import SCORE_DECIMALS, layout_of
from models.trunks.loading import load_embedder
from tests.models.conftest import EPOCHS, build, train_tiny
from tests.support.tiny import SPEC, TAXONOMY, example
from transforms.dataset.manifest import DatasetError, read_manifest

LAYOUT = layout_of(TAXONOMY)


def test_training_beats_both_baselines_on_unseen_tracks(built):
    macro = built.metrics["macro"]
    for metric in ("roc_auc", "pr_auc"):
        tagger, *others = (macro[m]["test"][metric] for m in ("tagger", "prevalence", "logistic_mel_moments"))
        assert tagger > 0.9 and tagger >= max(others)


def test_metrics_hold_every_tag_and_split(built):
    tags = built.metrics["tags"]["tagger"]
    assert set(tags) == {"validation", "test"} and set(tags["test"]) == set(TAXONOMY.tag_ids)
    never = tags["test"]["mood/never"]
    assert (never["roc_auc"], never["pr_auc"], never["support"], never["known"]) == (None, None, 0, 15)
    assert set(tags["test"]["voice/vocal"]) >= {"roc_auc", "pr_auc", "f1", "support", "known"}


def test_prevalence_ranks_nothing(built):
    assert built.metrics["macro"]["prevalence"]["test"]["roc_auc"] == 0.5


@pytest.mark.long
def test_same_seed_same_weights(built, dataset):
    from models.trunks.keras_trunk import digest_of

    assert digest_of(train_tiny(dataset).trunk) == built.bundle.trunks[0].digest


def test_a_bundle_says_how_its_trunk_was_trained(built):
    history = json.loads(Path(built.bundle.url, "history.json").read_bytes())
    assert [epoch["epoch"] for epoch in history["epochs"]] == list(range(EPOCHS)) and history["trunk"] == "compact"


def test_bundle_holds_what_tagging_needs(built):
    bundle = load_bundle(built.bundle.url)
    assert bundle.spec == SPEC and bundle.taxonomy == TAXONOMY
    read_by_people = {"metrics.json", "history.json", "MODEL_CARD.md"}
    assert set(bundle.files) >= {"trunks/0-compact/trunk.keras", "heads.npz", *read_by_people}
    assert bundle.tags[0].support > 10 and bundle.tags[7].support == 0


def test_loaded_bundle_scores_as_training_rated_it(built, dataset):
    from models.scoring import metrics

    embedder, bundle = load_embedder(built.bundle.url, threads=None), load_bundle(built.bundle.url)
    held_out = [example(number) for number in range(75, 90)]
    scores = np.round(bundle.score(embedder.embed([track.patches for track in held_out])), SCORE_DECIMALS)
    truth = np.array([track.targets[0] for track in held_out]) > 0.5
    assert metrics.roc_auc(truth, scores[:, 0]) == built.metrics["tags"]["tagger"]["test"]["voice/vocal"]["roc_auc"]


def test_parents_score_at_least_as_high_as_children(built):
    embedder = load_embedder(built.bundle.url, threads=None)
    scores = built.bundle.score(embedder.embed([example(number).patches for number in range(10)]))
    assert (scores[:, 5] >= scores[:, 6]).all()


def test_changed_trunk_is_refused_by_name(built, tmp_path):
    copy = shutil.copytree(built.bundle.url, tmp_path / "copy")
    data = bytearray((copy / "trunks/0-compact/trunk.keras").read_bytes())
    data[1000] ^= 1
    (copy / "trunks/0-compact/trunk.keras").write_bytes(data)
    with pytest.raises(BundleError, match=r"trunk\.keras was changed"):
        load_embedder(str(copy))


def test_trunk_with_other_weights_is_refused(built):
    import dataclasses

    from models.trunks import keras_trunk

    other = dataclasses.replace(built.bundle.trunks[0], digest="0" * 64)
    with pytest.raises(BundleError, match="trunk digest"):
        keras_trunk.load_keras_trunk(Path(built.bundle.url, other.files["keras"]), other)


def test_lambda_layers_are_refused(tmp_path, built):
    import keras

    from models.trunks import keras_trunk

    evil = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)])
    evil.save(tmp_path / "evil.keras")
    with pytest.raises(ValueError, match=r"[Ll]ambda"):
        keras_trunk.load_keras_trunk(tmp_path / "evil.keras", built.bundle.trunks[0])


def test_training_logs_and_stops_when_patience_is_out(dataset, tmp_path):
    options = {"epochs": 12, "patience": 1, "learning_rate": 0.0, "logs": str(tmp_path / "logs")}
    epochs = train_tiny(dataset, **options).history
    assert [epoch["epoch"] for epoch in epochs] == list(range(len(epochs))) and len(epochs) < 12
    assert {"loss", "val_loss", "val_pr_auc"} <= set(epochs[0])
    assert list((tmp_path / "logs").glob("events.out.tfevents.*"))


def test_options_are_checked():
    from models.training.data import Sampling
    from models.training.options import TrainingOptions

    with pytest.raises(ValueError, match="choose from compact"):
        TrainingOptions(trunk="huge")
    with pytest.raises(ValueError, match="epochs=0"):
        TrainingOptions(epochs=0)
    with pytest.raises(ValueError, match="batch_size=0"):
        Sampling(batch_size=0)


@pytest.fixture
def spoiled(dataset, tmp_path) -> Path:
    return shutil.copytree(dataset, tmp_path / "spoiled")


def test_changed_shard_is_refused_by_name(spoiled, tmp_path):
    with (spoiled / "train-0001.tfrecord").open("r+b") as file:
        file.seek(500)
        file.write(b"?")
    with pytest.raises(DatasetError, match=r"train-0001\.tfrecord: SHA-256"):
        build(spoiled, tmp_path / "bundle")


def test_missing_shard_is_refused_by_name(spoiled, tmp_path):
    (spoiled / "test-0000.tfrecord").unlink()
    with pytest.raises(DatasetError, match=r"test-0000\.tfrecord: shard is missing"):
        build(spoiled, tmp_path / "bundle")


def test_no_training_tracks_is_said_so(spoiled, tmp_path):
    import dataclasses

    manifest = dataclasses.replace(read_manifest(str(spoiled)), splits={"test": 15})
    (spoiled / "dataset.json").unlink()
    manifest.write(str(spoiled))
    with pytest.raises(DatasetError, match="no track in the training split"):
        build(spoiled, tmp_path / "bundle")


def test_records_of_other_features_are_refused(dataset):
    import dataclasses

    from models.training import data
    from transforms.features.spec import FeatureSpec

    manifest = read_manifest(str(dataset))
    other = dataclasses.replace(manifest, feature_spec=FeatureSpec(n_mels=16, patch_frames=24, fmin=20.0))
    with pytest.raises(DatasetError, match="other features"):
        list(data.tracks([str(dataset / "test-0000.tfrecord")], other, 15))


def test_record_count_is_checked(dataset):
    from models.training import data

    manifest = read_manifest(str(dataset))
    with pytest.raises(DatasetError, match=r"15 records in .*says 16"):
        list(data.tracks([str(dataset / "test-0000.tfrecord")], manifest, 16))


def test_tracks_are_read_as_they_were_written(dataset):
    from models.training import data

    manifest = read_manifest(str(dataset))
    found = next(iter(data.tracks([str(dataset / "train-0000.tfrecord")], manifest, 16)))
    written = example(0)
    assert found.track_id == written.track_id
    for name in ("patches", "targets", "mask"):
        np.testing.assert_array_equal(getattr(found, name), getattr(written, name))


def batches(dataset: Path, epoch: int = 0, first_step: int = 0, **sampling):
    from models.training import data

    manifest = read_manifest(str(dataset))
    paths = [str(dataset / shard.path) for shard in manifest.shards_of("train")]
    return data.epoch_batches(paths, manifest, data.Sampling(**sampling), epoch, first_step=first_step)


def test_batches_are_seeded_and_differ_between_epochs(dataset):
    first, again, other, later = (
        next(iter(batches(dataset, epoch, seed=seed)))[0].numpy() for seed, epoch in ((3, 0), (3, 0), (4, 0), (3, 1))
    )
    assert (first == again).all() and (first != later).any() and (first != other).any()


def test_a_batch_depends_on_seed_epoch_and_step_alone(dataset):
    whole = [patches.numpy() for patches, _ in batches(dataset, 2, batch_size=8)]
    later = [patches.numpy() for patches, _ in batches(dataset, 2, first_step=5, batch_size=8)]
    assert len(later) == len(whole) - 5
    assert all((a == b).all() for a, b in zip(whole[5:], later, strict=True))


def test_each_track_gives_so_many_patches(dataset):
    found = batches(dataset, patches_per_track=1, augment=False, batch_size=20)
    patches = np.concatenate([rows.numpy() for rows, _ in found])
    assert len(np.unique(patches.reshape(60, -1), axis=0)) == 60


def test_labels_come_with_their_mask(dataset):
    packed = np.concatenate([labels.numpy() for _, labels in batches(dataset, augment=False)])
    assert packed.shape[1] == 16 and set(np.unique(packed[:, 8:])) == {0, 1}
    assert (packed[:, :8][packed[:, 8:] == 0] == 0).all()


def test_a_batch_mixes_tracks(dataset):
    labels = next(iter(batches(dataset, augment=False)))[1].numpy()
    assert len(np.unique(labels, axis=0)) > 4


def test_loss_is_that_of_each_kind():
    from models.fitting.logistic import row_losses
    from models.training.losses import masked_loss

    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 8)).astype(np.float32)
    targets = np.array([example(n).targets for n in range(6)])
    mask = np.array([example(n).mask for n in range(6)])
    parts = [([0], False), ([2, 3, 4], True), ([5, 6, 7], False)]
    expected = sum(row_losses(logits[:, c], targets[:, c], mask[:, c], soft)[0] for c, soft in parts) / 5
    found = masked_loss(LAYOUT)(np.concatenate([targets, mask], axis=1), logits).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_unknown_categories_have_no_gradient():
    import tensorflow as tf

    from models.training.losses import masked_loss

    logits = tf.Variable(np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32))
    mask = np.ones((3, 8), np.float32)
    mask[:, 2:5] = 0
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(masked_loss(LAYOUT)(np.concatenate([np.ones((3, 8)), mask], 1).astype(np.float32), logits))
    gradient = tape.gradient(loss, logits).numpy()
    assert not gradient[:, 2:5].any() and gradient[:, [0, 5, 6, 7]].all()


def test_mixup_knows_what_both_know():
    from models.training import augment

    rng = np.random.default_rng(0)
    patches, targets = rng.normal(size=(64, 4, 3)).astype(np.float32), rng.random((64, 2)).astype(np.float32)
    mask = (rng.random((64, 2)) > 0.5).astype(np.float32)
    mixed, labels, known = (part.numpy() for part in augment.mix(patches, targets, mask, np.array([1, 2])))
    changed = (mixed != patches).any(axis=(1, 2))
    assert 10 < changed.sum() < 54
    assert (known <= mask).all() and (known[~changed] == mask[~changed]).all()
    assert (labels[~changed] == targets[~changed]).all()


@pytest.mark.parametrize("axis", [1, 2])
def test_hidden_bands_are_no_wider_than_their_share(axis):
    from models.training import augment

    hidden = augment.band(np.array([200, 40, 40]), axis, 0.25, np.array([1, 2])).numpy()
    widths = hidden.sum(axis=axis).ravel()
    assert widths.max() <= 11 and widths.max() > 5


def test_trunk_ignores_a_band_that_never_changes():
    from models.trunks.networks import compact

    mean, std = np.full(16, -40.0), np.r_[0.0, np.full(15, 5.0)]
    out = compact(SPEC, mean, std)(np.full((1, *SPEC.patch_shape), -40.0, np.float32)).numpy()
    assert np.isfinite(out).all() and out.shape == (1, 96)
