"""tf.data from TFRecord shards: tracks in order for embedding, random patches for training, both masked and soft."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from models import augment
from models.losses import pack
from transforms.records.datasets import DatasetError, DatasetManifest
from transforms.records.examples import layout as example_layout

_READERS = 16
_SHUFFLED_TRACKS = 64
_SHUFFLED_PATCHES = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a training epoch is drawn.

    Attributes:
      batch_size: patches of a step.
      patches_per_track: random patches that each track gives per epoch.
      seed: decides order, patches and augmentation.
      augment: SpecAugment, random gain and mixup.
    """

    batch_size: int = 32
    patches_per_track: int = 4
    seed: int = 0
    augment: bool = True

    def __post_init__(self) -> None:
        for name in ("batch_size", "patches_per_track"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is not positive")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """One labelled track: float16 patches [n, frames, mels], targets and mask float32 [T].

    Attributes:
      group: what a split never parts: the artist, or what stands for it.
      duration_s: length of the audio in seconds.
    """

    track_id: str
    group: str
    duration_s: float
    patches: np.ndarray
    targets: np.ndarray
    mask: np.ndarray


_Parsed = dict[str, tf.Tensor]


def _features(tags: int) -> dict[str, tf.io.FixedLenFeature | tf.io.VarLenFeature]:
    types = {"bytes": tf.string, "int64": tf.int64, "float": tf.float32}
    found = {}
    for name, feature in example_layout(tags).items():
        kind = types[feature.kind]
        if feature.length is None:
            found[name] = tf.io.VarLenFeature(kind)
        else:
            found[name] = tf.io.FixedLenFeature([] if feature.length == 1 else [feature.length], kind)
    return found


def _parser(manifest: DatasetManifest):
    features = _features(len(manifest.taxonomy.tags))
    frames, mels = manifest.feature_spec.patch_shape

    def parse(record: tf.Tensor) -> _Parsed:
        example = tf.io.parse_single_example(record, features)
        same = tf.logical_and(
            example["feature_id"] == manifest.feature_id, example["taxonomy_id"] == manifest.taxonomy_id
        )
        check = tf.debugging.Assert(
            same, ["example of other features or taxonomy", example["track_id"], example["feature_id"]]
        )
        with tf.control_dependencies([check]):
            patches = tf.reshape(tf.io.decode_raw(example["patches"], tf.float16), example["patches_shape"])
        return {**example, "patches": tf.ensure_shape(patches, [None, frames, mels])}

    return parse


def tracks(paths: Sequence[str], manifest: DatasetManifest, examples: int) -> Iterator[Track]:
    """Every track of these shards, in order.

    Raises:
      DatasetError: a record is damaged, or there are not as many as the manifest says.
    """
    records = tf.data.TFRecordDataset(list(paths)) if paths else ()
    parsed = records.map(_parser(manifest)).prefetch(8) if paths else ()
    seen = 0
    try:
        for example in parsed:
            seen += 1
            yield Track(
                track_id=example["track_id"].numpy().decode(),
                group=example["group"].numpy().decode(),
                duration_s=float(example["duration_s"].numpy()),
                patches=example["patches"].numpy(),
                targets=example["targets"].numpy(),
                mask=example["mask"].numpy(),
            )
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise DatasetError(f"record {seen} of {list(paths)}: {error.message}") from error
    if seen != examples:
        raise DatasetError(f"{seen} records in {list(paths)}, dataset.json says {examples}: prepare the dataset again")


def training_patches(paths: Sequence[str], manifest: DatasetManifest, sampling: Sampling) -> tf.data.Dataset:
    """Batches for one epoch: (float32 [batch, frames, mels], packed labels [batch, 2 T]); seeded, new each epoch.

    Shards are interleaved; each track gives a few random patches, so that the patch buffer holds many tracks.
    """
    files = tf.data.Dataset.from_tensor_slices(list(paths)).shuffle(len(paths), sampling.seed)
    records = files.interleave(
        tf.data.TFRecordDataset,
        cycle_length=min(_READERS, len(paths)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    seeds = tf.data.Dataset.random(sampling.seed, rerandomize_each_iteration=True).batch(2)
    chosen = tf.data.Dataset.zip((records.shuffle(_SHUFFLED_TRACKS, sampling.seed), seeds)).map(
        _patch_chooser(manifest, sampling.patches_per_track), num_parallel_calls=2, deterministic=True
    )
    patches = chosen.unbatch().shuffle(_SHUFFLED_PATCHES, sampling.seed)
    batches = patches.batch(sampling.batch_size).map(_to_float)
    if sampling.augment:
        augmenter = augment.augmenter(manifest.feature_spec, manifest.mel_mean)
        numbers = tf.data.Dataset.random(sampling.seed + 1, rerandomize_each_iteration=True).batch(2)
        batches = tf.data.Dataset.zip((batches, numbers)).map(augmenter, num_parallel_calls=2, deterministic=True)
    return batches.map(lambda patches, targets, mask: (patches, pack(targets, mask))).prefetch(4)


def _patch_chooser(manifest: DatasetManifest, count: int):
    parse = _parser(manifest)

    def choose(record: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        example = parse(record)
        order = tf.random.experimental.stateless_shuffle(tf.range(tf.shape(example["patches"])[0]), seed)
        patches = tf.gather(example["patches"], order[:count])
        repeated = [tf.repeat(example[name][None], tf.shape(patches)[0], axis=0) for name in ("targets", "mask")]
        return patches, *repeated

    return choose


def _to_float(patches: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    return tf.cast(patches, tf.float32), targets, mask
