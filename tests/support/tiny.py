"""A small dataset whose tags can be heard: written with TensorFlow's own TFRecord writer."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transforms.dataset.example import Example, encode_example
from transforms.dataset.manifest import DatasetManifest, ShardEntry
from transforms.features.spec import FeatureSpec
from transforms.splits.by_artist import SplitRatios
from transforms.taxonomy.hierarchy import Taxonomy

SPEC = FeatureSpec(n_mels=16, patch_frames=24, patches_per_track=4)
SPLITS = ("train", "validation", "test")

TAXONOMY = Taxonomy.from_json(
    {
        "categories": [
            {"name": "voice", "kind": "binary", "tags": ["voice/vocal", "voice/instrumental"]},
            {"name": "genre", "kind": "multiclass", "tags": ["genre/high", "genre/low", "genre/flat"]},
            {
                "name": "mood",
                "kind": "multilabel",
                "tags": [{"id": "mood/moving"}, {"id": "mood/fast", "parents": ["mood/moving"]}, {"id": "mood/never"}],
            },
        ]
    }
)


def example(number: int, spec: FeatureSpec = SPEC, taxonomy: Taxonomy = TAXONOMY) -> Example:
    """Track `number`: a band that is high, low or absent; a pulse that is slow, fast or absent; noise."""
    rng = np.random.default_rng(number)
    genre, pulse, vocal = rng.integers(3), rng.integers(3), rng.integers(2)
    count = int(rng.integers(2, 5))
    patches = rng.normal(-40, 4, (count, *spec.patch_shape)) + rng.normal(0, 3)
    if genre < 2:
        patches[:, :, slice(10, 14) if genre == 0 else slice(2, 6)] += 12
    if pulse:
        patches += 6 * np.sign(np.sin(np.arange(spec.patch_frames) * (0.5 if pulse == 1 else 2.0)))[:, None]
    patches[:, :, 7:9] += 15 * vocal
    targets = [vocal, 1 - vocal, *(float(genre == g) for g in range(3)), pulse > 0, pulse == 2, 0]
    mask = np.ones(8)
    mask[2:5] = number % 5 != 0  # every fifth track has no known genre
    return Example(
        track_id=f"track-{number:03d}",
        group=f"artist-{number // 2}",
        duration_s=3.0 * count,
        patches=patches.astype(np.float16),
        starts_s=np.arange(count, dtype=np.float32),
        targets=(np.array(targets) * mask).astype(np.float32),
        mask=mask.astype(np.float32),
        feature_id=spec.feature_id,
        taxonomy_id=taxonomy.taxonomy_id,
    )


def write_dataset(folder: Path, sides: dict[str, Sequence[Example]], spec: FeatureSpec, taxonomy: Taxonomy) -> Path:
    """Writes shards of at most 16 tracks and the manifest."""
    folder.mkdir(parents=True)
    shards = [
        _write_shard(folder, split, number, examples[start : start + 16])
        for split, examples in sides.items()
        for number, start in enumerate(range(0, len(examples), 16))
    ]
    frames = np.concatenate([e.patches.reshape(-1, spec.n_mels) for e in sides["train"]]).astype(np.float64)
    known = {split: np.array([e.mask for e in examples]) for split, examples in sides.items()}
    carried = {split: np.array([e.targets > 0 for e in examples]) for split, examples in sides.items()}
    DatasetManifest(
        feature_spec=spec,
        taxonomy=taxonomy,
        split_ratios=SplitRatios(),
        split_column=None,
        chunk_tracks=16,
        catalog_digest="0" * 64,
        shards=tuple(sorted(shards, key=lambda shard: shard.path)),
        mel_mean=tuple(frames.mean(axis=0)),
        mel_std=tuple(frames.std(axis=0)),
        splits={split: len(examples) for split, examples in sides.items()},
        tag_positive={split: tuple(int(n) for n in carried[split].sum(axis=0)) for split in sides},
        tag_known={split: tuple(int(n) for n in known[split].sum(axis=0)) for split in sides},
        counts={"catalog": sum(map(len, sides.values()))},
        rejects={},
        none={},
        conflicts={},
        unknown_tags={},
    ).write(str(folder))
    return folder


def _write_shard(folder: Path, split: str, number: int, examples: Sequence[Example]) -> ShardEntry:
    import tensorflow as tf

    path = folder / f"{split}-{number:04d}.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for one in examples:
            writer.write(encode_example(one))
    data = path.read_bytes()
    return ShardEntry(
        path=path.name,
        split=split,
        examples=len(examples),
        patches=sum(len(one.patches) for one in examples),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def tiny_dataset(folder: Path, tracks: int = 90) -> Path:
    """A dataset of `SPEC` and `TAXONOMY`: two thirds train, a sixth validation, a sixth test."""
    examples = [example(number) for number in range(tracks)]
    sides = {"train": examples[: tracks * 2 // 3], "validation": examples[tracks * 2 // 3 : tracks * 5 // 6]}
    return write_dataset(folder, {**sides, "test": examples[tracks * 5 // 6 :]}, SPEC, TAXONOMY)
