"""Shards are checked, near and far."""

import dataclasses
from pathlib import Path

import pytest

from models.training.shards import local_shards
from transforms import storage
from transforms.dataset.manifest import DatasetError, read_manifest

SPLITS = ("train", "test")


def test_local_shards_are_read_where_they_are(dataset):
    manifest = read_manifest(str(dataset))
    with local_shards(str(dataset), manifest, SPLITS) as paths:
        assert paths["test"] == [str(dataset / "test-0000.tfrecord")]
        assert len(paths["train"]) == len(manifest.shards_of("train"))


def test_distant_shards_are_copied_and_removed_again(dataset, gcs):
    url = f"{gcs}/dataset"
    for path in dataset.iterdir():
        storage.create(storage.join(url, path.name), path.read_bytes())
    with local_shards(url, read_manifest(url), SPLITS) as paths:
        (copy,) = map(Path, paths["test"])
        assert copy.read_bytes() == (dataset / "test-0000.tfrecord").read_bytes()
    assert not copy.exists()


def test_changed_shard_is_refused_by_name(dataset):
    manifest = read_manifest(str(dataset))
    changed = tuple(dataclasses.replace(shard, sha256="0" * 64) for shard in manifest.shards)
    with (
        pytest.raises(DatasetError, match=r"test-0000\.tfrecord: SHA-256 .*dataset\.json says 0000"),
        local_shards(str(dataset), dataclasses.replace(manifest, shards=changed), ["test"]),
    ):
        pass


def test_missing_shard_is_refused_by_name(dataset):
    manifest = read_manifest(str(dataset))
    gone = tuple(dataclasses.replace(shard, path=f"gone-{shard.path}") for shard in manifest.shards)
    with (
        pytest.raises(DatasetError, match=r"gone-test-0000\.tfrecord: shard is missing"),
        local_shards(str(dataset), dataclasses.replace(manifest, shards=gone), ["test"]),
    ):
        pass
