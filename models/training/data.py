"""Reads TFRecord shards with tf.data: tracks in order for embedding, random patches for training."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from models.training import augment
from models.training.losses import pack
from transforms.dataset.example import layout as example_layout
from transforms.dataset.manifest import DatasetError, DatasetManifest

_READERS = 16
_SHUFFLED_TRACKS = 64
_SHUFFLED_PATCHES = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the batches of a training epoch are drawn.

    Attributes:
      batch_size: patches per step, over all devices and workers.
      patches_per_track: number of random patches of each track per epoch.
      epoch_tracks: approximate number of tracks per epoch. A larger training split is divided into several epochs.
        None: all tracks.
      seed: seed of order, patches and augmentation.
      augment: whether to use SpecAugment, random gain and mixup.
    """

    batch_size: int = 32
    patches_per_track: int = 4
    epoch_tracks: int | None = None
    seed: int = 0
    augment: bool = True

    def __post_init__(self) -> None:
        for name in ("batch_size", "patches_per_track", "epoch_tracks"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name}={value} is not positive: give 1 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Share:
    """The part of the batches that this process reads.

    Attributes:
      worker: number of this worker, from 0.
      workers: number of workers.
      replicas: number of devices of each worker.
    """

    worker: int = 0
    workers: int = 1
    replicas: int = 1

    @property
    def all_replicas(self) -> int:
        """Number of devices of all workers. Each gets an equal part of a batch."""
        return self.workers * self.replicas


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TrainingTrack:
    """One labelled track.

    Attributes:
      track_id: id.
      group: key of the artist, else the album, else the track.
      duration_s: length of the audio in seconds.
      patches: float16 [n, frames, mels].
      targets: float32 [T].
      mask: float32 [T], 1 if known.
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


def _parser(manifest: DatasetManifest) -> Callable[[tf.Tensor], _Parsed]:
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


def tracks(paths: Sequence[str], manifest: DatasetManifest, examples: int) -> Iterator[TrainingTrack]:
    """Yields every track of these shards, in order.

    Args:
      paths: shards.
      manifest: manifest of the dataset.
      examples: expected number of tracks.

    Raises:
      DatasetError: a record is damaged or of another dataset, or the number of tracks differs.
    """
    parsed: Iterable[_Parsed] = ()
    if paths:
        parsed = tf.data.TFRecordDataset(list(paths)).map(_parser(manifest)).prefetch(8)
    seen = 0
    try:
        for example in parsed:
            seen += 1
            yield TrainingTrack(
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


def pass_slices(tracks: int, sampling: Sampling) -> int:
    """Number of epochs into which one pass over the tracks is divided."""
    return 1 if sampling.epoch_tracks is None else max(1, -(-tracks // sampling.epoch_tracks))


def steps_of_epoch(manifest: DatasetManifest, sampling: Sampling) -> int:
    """Number of steps per epoch, so that each track of the epoch is used about once."""
    shards = manifest.shards_of("train")
    patches = sum(min(shard.patches, shard.examples * sampling.patches_per_track) for shard in shards)
    slices = pass_slices(sum(shard.examples for shard in shards), sampling)
    return max(1, round(patches / slices / sampling.batch_size))


def shards_of_epoch(
    paths: Sequence[str], manifest: DatasetManifest, sampling: Sampling, epoch: int, share: Share
) -> list[str]:
    """The shards that this worker reads in an epoch, in order. Each pass has a new order. Workers share no shard.

    Raises:
      DatasetError: there are fewer shards than workers.
    """
    slices = pass_slices(sum(shard.examples for shard in manifest.shards_of("train")), sampling)
    done, part = divmod(epoch, slices)
    order = np.random.default_rng([sampling.seed, done]).permutation(len(paths))
    chosen = [paths[place] for place in order[part::slices]][share.worker :: share.workers]
    if not chosen:
        raise DatasetError(
            f"{len(paths)} training shards in {slices} epochs a pass for {share.workers} workers: a worker would have "
            "no shard; prepare with smaller chunks, increase --epoch-tracks, or use fewer workers"
        )
    return chosen


def epoch_batches(
    paths: Sequence[str],
    manifest: DatasetManifest,
    sampling: Sampling,
    epoch: int,
    share: Share | None = None,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Batches of one epoch: (float32 [batch, frames, mels], packed labels [batch, 2 T]). Every batch is full.

    A batch is a pure function of seed, epoch and step, so a resumed epoch gets the same batches from `first_step` on.
    Shards are interleaved, and each track contributes a few random patches, so that the shuffle buffer has many tracks.
    """
    share = share or Share()
    size, last = sampling.batch_size // share.all_replicas, steps_of_epoch(manifest, sampling) * share.replicas
    shards = shards_of_epoch(paths, manifest, sampling, epoch, share)
    order, draw = (int(n) for n in np.random.SeedSequence([sampling.seed, epoch, share.worker]).generate_state(2))
    records = tf.data.Dataset.from_tensor_slices(shards).interleave(
        tf.data.TFRecordDataset,
        cycle_length=min(_READERS, len(shards)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    shuffled = records.shuffle(_SHUFFLED_TRACKS, order, reshuffle_each_iteration=False).enumerate()
    chosen = _map(shuffled, _patch_chooser(manifest, sampling.patches_per_track, draw))
    patches = chosen.unbatch().shuffle(_SHUFFLED_PATCHES, order, reshuffle_each_iteration=False).repeat()
    batches = patches.batch(size, drop_remainder=True).enumerate().skip(first_step * share.replicas)
    return _map(batches, _finisher(manifest, sampling, draw)).take(last - first_step * share.replicas).prefetch(4)


def _map(dataset: tf.data.Dataset, function: Callable[..., tuple[tf.Tensor, ...]]) -> tf.data.Dataset:
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _patch_chooser(manifest: DatasetManifest, count: int, draw: int) -> Callable[[tf.Tensor, tf.Tensor], augment.Batch]:
    parse = _parser(manifest)

    def choose(number: tf.Tensor, record: tf.Tensor) -> augment.Batch:
        example = parse(record)
        order = tf.random.experimental.stateless_shuffle(tf.range(tf.shape(example["patches"])[0]), [draw, number])
        patches = tf.gather(example["patches"], order[:count])
        targets, mask = [tf.repeat(example[name][None], tf.shape(patches)[0], axis=0) for name in ("targets", "mask")]
        return patches, targets, mask

    return choose


def _finisher(
    manifest: DatasetManifest, sampling: Sampling, draw: int
) -> Callable[[tf.Tensor, augment.Batch], tuple[tf.Tensor, tf.Tensor]]:
    """A function for whole batches: conversion to float32, augmentation, packing of labels."""
    augmenter = augment.augmenter(manifest.feature_spec, manifest.mel_mean)

    def finish(number: tf.Tensor, batch: augment.Batch) -> tuple[tf.Tensor, tf.Tensor]:
        patches, targets, mask = batch
        batch = (tf.cast(patches, tf.float32), targets, mask)
        if sampling.augment:
            batch = augmenter(batch, tf.stack([tf.constant(draw, tf.int64), -1 - number]))
        patches, targets, mask = batch
        return patches, pack(targets, mask)

    return finish
