"""The manifest and its sums."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.records.datasets import DatasetError, DatasetManifest, DatasetStats, ShardEntry, read_manifest
from transforms.records.examples import Example
from transforms.records.labels import encode
from transforms.records.splits import SplitRatios
from transforms.records.taxonomy import Taxonomy
from transforms.signal.spec import FeatureSpec

TAXONOMY = Taxonomy.from_json(
    {"categories": [{"name": "mood", "kind": "multilabel", "tags": ["mood/calm", "mood/loud"]}]}
)


def manifest():
    return DatasetManifest(
        feature_spec=FeatureSpec(),
        taxonomy=TAXONOMY,
        split_ratios=SplitRatios(),
        split_column=None,
        chunk_tracks=64,
        catalog_digest="d",
        shards=(ShardEntry(path="train-1.tfrecord", split="train", examples=1, patches=2, bytes=3, sha256="x"),),
        mel_mean=(0.1,),
        mel_std=(1.0,),
        splits={"train": 1},
        tag_positive={"train": (1, 0)},
        tag_known={"train": (1, 1)},
        counts={"catalog": 1, "examples": 1, "rejected": 0, "none": 0},
        rejects={},
        conflicts={},
        unknown_tags={},
    )


def stats_of(track, split="train"):
    rng = np.random.default_rng(track)
    labels = encode([("mood/calm", None), ("x/y", None)], TAXONOMY)
    example = Example(
        track_id=str(track),
        patches=(rng.normal(-30, 20, (2, 5, 3))).astype(np.float16),
        starts_s=np.zeros(2, np.float32),
        targets=labels.targets,
        mask=labels.mask,
        feature_id="f",
        taxonomy_id="t",
    )
    stats = DatasetStats()
    stats.add_example(split, example, labels)
    return stats, example


def test_a_manifest_survives_its_file(tmp_path):
    manifest().write(str(tmp_path))
    assert read_manifest(str(tmp_path)) == manifest()


def test_a_manifest_is_created_once(tmp_path):
    manifest().write(str(tmp_path))
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(OSError, match=r"dataset\.json"):
        manifest().write(str(tmp_path))


def test_an_unfinished_dataset_is_named(tmp_path):
    with pytest.raises(DatasetError, match="its prepare did not finish"):
        read_manifest(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"dataset_version": 99}, "dataset_version 99"), ({"feature_id": "fs-other"}, "feature_id is fs-other")],
)
def test_other_versions_are_refused(tmp_path, change, message):
    (tmp_path / "dataset.json").write_text(json.dumps({**manifest().to_json(), **change}))
    with pytest.raises(DatasetError, match=message):
        read_manifest(str(tmp_path))


def test_garbage_is_no_manifest(tmp_path):
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DatasetError, match="not a dataset manifest"):
        read_manifest(str(tmp_path))


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
    stats.add_none()
    assert stats.outcomes == {"catalog": 3, "examples": 1, "rejected": 1, "none": 1}
