"""The manifest and its sums."""

import json

import pytest

from transforms.dataset.manifest import DatasetError, DatasetManifest, ShardEntry, read_manifest
from transforms.features.spec import FeatureSpec
from transforms.splits.by_artist import SplitRatios
from transforms.taxonomy.hierarchy import Taxonomy

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
        none={},
        conflicts={},
        unknown_tags={},
    )


def test_a_manifest_survives_its_file(tmp_path):
    manifest().write(str(tmp_path))
    assert read_manifest(str(tmp_path)) == manifest()


def test_a_dataset_whose_artists_were_not_counted_is_read(tmp_path):
    old = {name: value for name, value in manifest().to_json().items() if name != "groups"}
    (tmp_path / "dataset.json").write_text(json.dumps(old))
    assert read_manifest(str(tmp_path)).groups == {}


def test_a_dataset_whose_gates_were_not_recorded_is_read(tmp_path):
    old = {name: value for name, value in manifest().to_json().items() if name != "gates"}
    (tmp_path / "dataset.json").write_text(json.dumps(old))
    assert read_manifest(str(tmp_path)).gates == {}


def test_a_manifest_is_created_once(tmp_path):
    manifest().write(str(tmp_path))
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(OSError, match=r"dataset\.json"):
        manifest().write(str(tmp_path))


def test_an_unfinished_dataset_is_named(tmp_path):
    with pytest.raises(DatasetError, match="or `prepare` did not finish"):
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
