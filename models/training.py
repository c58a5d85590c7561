"""Stage 1: the trunk learns at patch level, stopped when it no longer ranks the validation tracks better."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from models import data, metrics
from models.heads import Layout, layout_of, link
from models.losses import masked_loss, with_outputs
from models.trunks import TRUNKS, build
from transforms.records.datasets import DatasetManifest

VALIDATION_PATCHES = 4
"""Patches of a validation track that are looked at after each epoch, spread evenly over it."""

VALIDATION_TRACKS = 2000
"""Most validation tracks that are looked at after each epoch: they stay in memory."""


LEARNING_RATE, FINE_TUNING_RATE = 2e-3, 1e-4
"""Of a new trunk, and of one that has learned something already: large steps would undo that."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How a trunk is trained.

    Attributes:
      trunk: its name in the registry.
      epochs: most passes over the training split.
      patience: epochs without a better validation score after which training stops.
      learning_rate: of AdamW at its start; it falls to 0 along a cosine. None: `LEARNING_RATE`, or `FINE_TUNING_RATE`
        where a trunk is given to start from.
      train_norms: whether the statistics of normalisations follow the data where a trunk is given to start from.
      sampling: batches, patches, seed and augmentation.
      logs: folder for TensorBoard, or None.
    """

    trunk: str = "compact"
    epochs: int = 30
    patience: int = 8
    learning_rate: float | None = None
    train_norms: bool = False
    sampling: data.Sampling = dataclasses.field(default_factory=data.Sampling)
    logs: str | None = None

    def __post_init__(self) -> None:
        if self.trunk not in TRUNKS:
            raise ValueError(f"trunk {self.trunk!r}: choose from {', '.join(sorted(TRUNKS))}")
        for name in ("epochs", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is not positive")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedTrunk:
    """The trunk with the weights of its best epoch, and what each epoch brought."""

    trunk: keras.Model
    history: list[dict[str, float]]
    best_epoch: int


def seed_everything(seed: int) -> None:
    """Seeds Python, numpy and TensorFlow; on a machine without a GPU also makes every operation deterministic."""
    keras.utils.set_random_seed(seed)
    if not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def train_trunk(
    manifest: DatasetManifest,
    train: Sequence[str],
    validation: Iterable[data.Track],
    options: TrainingOptions,
    initial: keras.Model | None = None,
) -> TrainedTrunk:
    """Trains a trunk on the shards `train`; `validation` decides when to stop.

    Args:
      manifest: of the dataset.
      train: shards of the training split.
      validation: tracks of the validation split.
      options: how; its trunk is built anew unless `initial` is given.
      initial: a trunk to go on from: from patches [n, frames, mels] to patch embeddings [n, d]. It is changed in place.

    Raises:
      ValueError: `options.trunk` has no network, or `initial` takes other patches than the dataset's.
    """
    seed_everything(options.sampling.seed)
    layout = layout_of(manifest.taxonomy)
    trunk = _start(manifest, options, initial)
    model = with_outputs(trunk, layout)
    steps = _steps(manifest, options.sampling)
    usual = LEARNING_RATE if initial is None else FINE_TUNING_RATE
    peak = usual if options.learning_rate is None else options.learning_rate
    rate = keras.optimizers.schedules.CosineDecay(peak, steps * options.epochs)
    model.compile(optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-3, clipnorm=1.0), loss=masked_loss(layout))
    batches = data.training_patches(train, manifest, options.sampling).repeat()
    watch = _Watch(_validation_arrays(validation, manifest), layout, options)
    model.fit(batches, epochs=options.epochs, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[watch])
    model.set_weights(watch.best_weights)
    return TrainedTrunk(trunk=trunk, history=watch.history, best_epoch=watch.best_epoch)


def _start(manifest: DatasetManifest, options: TrainingOptions, initial: keras.Model | None) -> keras.Model:
    """The trunk that training starts from."""
    if initial is None:
        return build(options.trunk, manifest.feature_spec, manifest.mel_mean, manifest.mel_std)
    takes, wanted = tuple(initial.input_shape[1:]), manifest.feature_spec.patch_shape
    if takes != wanted:
        raise ValueError(f"the trunk takes patches of {takes}, the dataset has {wanted}: prepare it with --trunk")
    initial.trainable = True
    for layer in initial.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = options.train_norms
    return initial


def _steps(manifest: DatasetManifest, sampling: data.Sampling) -> int:
    """Steps of an epoch: about as many as it takes to see every training track once."""
    shards = manifest.shards_of("train")
    patches = sum(min(shard.patches, shard.examples * sampling.patches_per_track) for shard in shards)
    return max(1, round(patches / sampling.batch_size))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Validation:
    """Validation patches of all tracks [n, frames, mels], the track of each, and the tracks' labels."""

    patches: np.ndarray
    track: np.ndarray
    targets: np.ndarray
    mask: np.ndarray


def _validation_arrays(tracks: Iterable[data.Track], manifest: DatasetManifest) -> _Validation:
    tracks = [_thinned(track) for track in itertools.islice(tracks, VALIDATION_TRACKS)]
    chosen = [track.patches for track in tracks]
    tags = len(manifest.taxonomy.tags)
    return _Validation(
        patches=np.concatenate([*chosen, np.zeros((0, *manifest.feature_spec.patch_shape), np.float16)]),
        track=np.repeat(np.arange(len(chosen)), [len(patches) for patches in chosen]),
        targets=np.array([track.targets for track in tracks]).reshape(-1, tags),
        mask=np.array([track.mask for track in tracks]).reshape(-1, tags),
    )


def _thinned(track: data.Track) -> data.Track:
    places = np.linspace(0, len(track.patches) - 1, VALIDATION_PATCHES).round().astype(int)
    return dataclasses.replace(track, patches=track.patches[np.unique(places)])


class _Watch(keras.callbacks.Callback):
    """After each epoch: rates the validation tracks, keeps the best weights, logs, and stops when patience is out."""

    def __init__(self, validation: _Validation, layout: Layout, options: TrainingOptions) -> None:
        super().__init__()
        self._validation, self._layout, self._options = validation, layout, options
        self._writer = tf.summary.create_file_writer(options.logs) if options.logs else None
        self._best = (-np.inf, -np.inf)
        self.best_weights: list[np.ndarray] = []
        self.best_epoch = 0
        self.history: list[dict[str, float]] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._bar = tqdm(total=self._options.epochs, desc="training the trunk", unit="epoch", disable=None)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._bar.close()
        if self._writer:
            self._writer.close()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        facts = {"loss": float((logs or {})["loss"]), **self._rate()}
        # Small validation splits are soon ranked perfectly: then the loss decides. A lucky first epoch is no reason to
        # stop, so none counts before a quarter of the epochs is over.
        score = (facts.get("val_pr_auc", 0.0), -facts.get("val_loss", -float(epoch)))
        if score > self._best or epoch < self._options.epochs // 4:
            self._best, self.best_epoch, self.best_weights = score, epoch, self.model.get_weights()
        self.history.append({"epoch": epoch, **facts})
        self._log(epoch, facts)
        if epoch - self.best_epoch >= self._options.patience:
            self.model.stop_training = True

    def _rate(self) -> dict[str, float]:
        """Loss and macro PR-AUC (where it is defined) of the validation tracks, each by its mean logits."""
        held = self._validation
        if not len(held.targets):
            return {}
        logits = np.zeros(held.targets.shape)
        np.add.at(logits, held.track, self.model.predict(held.patches.astype(np.float32), batch_size=64, verbose=0))
        logits /= np.bincount(held.track)[:, None]
        packed = np.concatenate([held.targets, held.mask], axis=1)
        loss = float(np.mean(masked_loss(self._layout)(packed, logits.astype(np.float32))))
        scores = link(logits, self._layout)
        pr_auc = metrics.macro(metrics.tag_metrics(held.targets, held.mask, scores, scores >= 0.5))["pr_auc"]
        return {"val_loss": loss} if pr_auc is None else {"val_loss": loss, "val_pr_auc": pr_auc}

    def _log(self, epoch: int, facts: dict[str, float]) -> None:
        self._bar.set_postfix({name: f"{value:.3f}" for name, value in facts.items()}, refresh=False)
        self._bar.update()
        if self._writer:
            with self._writer.as_default():
                for name, value in facts.items():
                    tf.summary.scalar(name, value, step=epoch)
