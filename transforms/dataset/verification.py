"""Checks every file of a dataset and reports every problem."""

from collections.abc import Iterator

import numpy as np

from transforms import storage
from transforms.dataset.labels import shard_examples
from transforms.dataset.manifest import DATASET_FILE, DatasetError, DatasetManifest, ShardEntry, read_list
from transforms.dataset.stats import DatasetStats, split_columns
from transforms.formats.hashing import stream_sha256

_MEL_TOLERANCE = 1e-4
"""Largest difference of a mel band's mean or deviation from the manifest, in the unit of the patches."""


def dataset_steps(manifest: DatasetManifest) -> int:
    """Number of elements that `dataset_problems` yields."""
    return len(manifest.shards) + 1


def dataset_problems(dataset: str, manifest: DatasetManifest) -> Iterator[list[str]]:
    """Yields the problems of each shard, then those of the lists and of the manifest's sums.

    Every shard is read: its bytes, the checksum of each record, and what the manifest counts in it.
    """
    stats, sound = DatasetStats(), True
    for shard in manifest.shards:
        problems = list(_shard_problems(dataset, shard, manifest, stats))
        sound = sound and not problems
        yield problems
    yield [*_list_problems(dataset, manifest), *(_sum_problems(dataset, manifest, stats) if sound else ())]


def _shard_problems(dataset: str, shard: ShardEntry, manifest: DatasetManifest, stats: DatasetStats) -> Iterator[str]:
    url, patches = storage.join(dataset, shard.path), 0
    try:
        with storage.open_input(url) as stream:
            found = stream_sha256(stream)
        if found != shard.sha256:
            yield f"{url}: SHA-256 {found}, {DATASET_FILE} has {shard.sha256}"
            return
        for example in shard_examples(dataset, shard):
            patches += len(example.patches)
            stats.add_example(shard.split, example, (), ())
            if (example.feature_id, example.taxonomy_id) != (manifest.feature_id, manifest.taxonomy_id):
                yield f"{url}: {example.track_id!r} was made with {example.feature_id}, {example.taxonomy_id}"
    except (DatasetError, storage.StorageError) as error:
        yield str(error)
        return
    if patches != shard.patches:
        yield f"{url}: {patches} patches, {DATASET_FILE} has {shard.patches}"


def _list_problems(dataset: str, manifest: DatasetManifest) -> Iterator[str]:
    for name in manifest.lists:
        try:
            read_list(dataset, manifest, name)
        except (DatasetError, storage.StorageError) as error:
            yield str(error)


def _sum_problems(dataset: str, manifest: DatasetManifest, stats: DatasetStats) -> Iterator[str]:
    """Compares the sums over all examples with the manifest's."""
    place, tags = storage.join(dataset, DATASET_FILE), len(manifest.taxonomy.tags)
    for name, found in (
        ("splits", {split: stats.splits[split] for split in manifest.splits}),
        ("tag_positive", split_columns(stats.positive, tags)),
        ("tag_known", split_columns(stats.known, tags)),
    ):
        if getattr(manifest, name) != found:
            yield f"{place}: {name} differs from the examples"
    for name, values in zip(("mel_mean", "mel_std"), stats.mel_moments(), strict=True):
        stated = getattr(manifest, name)
        if len(stated) != len(values) or not np.allclose(stated, values, rtol=0, atol=_MEL_TOLERANCE):
            yield f"{place}: {name} differs from the training examples"
