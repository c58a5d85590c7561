"""Stage 1: trains a trunk at patch level, with early stopping on validation tracks.

A killed run resumes from its checkpoint and ends with the same weights as an uninterrupted one. Batches are a pure
function of seed, epoch and step, and a checkpoint contains everything else that changes between steps.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from models.scoring.heads import layout_of
from models.training import checkpoints, cluster, data, placement
from models.training.checkpoints import Checkpoint
from models.training.errors import TrainingError
from models.training.losses import masked_loss, with_outputs
from models.training.options import FINE_TUNING_RATE, LEARNING_RATE, TrainingOptions
from models.training.progress import Progress
from models.training.similarity import rarity, similarity_loss
from models.training.validation import Validation, logits_function
from models.trunks.keras_trunk import digest_of
from models.trunks.networks import build_network
from transforms.dataset.manifest import DatasetManifest
from transforms.formats.hashing import digest, json_bytes
from transforms.telemetry.kept_work import note_kept_work
from transforms.telemetry.phases import announce, phase

__all__ = ["TrainedTrunk", "TrainingOptions", "seed_everything", "train_trunk"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainedTrunk:
    """The trunk with the weights of its best epoch, and the metrics of each epoch."""

    trunk: keras.Model
    history: list[dict[str, float]]
    best_epoch: int


def seed_everything(seed: int, *, deterministic: bool = True) -> None:
    """Seeds Python, numpy and TensorFlow. Without a GPU, `deterministic` also makes every operation deterministic."""
    keras.utils.set_random_seed(seed)
    if deterministic and not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def train_trunk(
    manifest: DatasetManifest,
    train: Sequence[str],
    validation: Iterable[data.TrainingTrack],
    options: TrainingOptions,
    initial: keras.Model | None = None,
) -> TrainedTrunk:
    """Trains a trunk, with early stopping.

    Args:
      manifest: manifest of the dataset.
      train: shards of the training split.
      validation: tracks of the validation split, for early stopping.
      options: how to train; `options.trunk` is built unless `initial` is given.
      initial: a pretrained trunk: patches [n, frames, mels] -> patch embeddings [n, d]. It is changed in place.

    Raises:
      ValueError: `options.trunk` has no network.
      TrainingError: `initial` takes patches of another shape, there are fewer devices than requested, they cannot share
        a batch equally, or XLA cannot compile a step.
      CheckpointError: the checkpoint is damaged or belongs to another run.
    """
    spread = placement.strategy(options.devices)
    # In deterministic mode, which cannot be left again in a process, Keras compiles nothing with XLA.
    seed_everything(options.sampling.seed, deterministic=not options.xla)
    trunk = _start(manifest, options, initial)
    run = _Run(manifest, train, options, trunk, spread, is_new=initial is None)
    held = Validation.of(validation, manifest, layout_of(manifest.taxonomy))
    progress = run.fit(held)
    trunk.set_weights(progress.best_weights)
    return TrainedTrunk(trunk=trunk, history=progress.history, best_epoch=progress.best_epoch)


def _start(manifest: DatasetManifest, options: TrainingOptions, initial: keras.Model | None) -> keras.Model:
    """The initial trunk."""
    if initial is None:
        return build_network(options.trunk, manifest.feature_spec, manifest.mel_mean, manifest.mel_std)
    takes, wanted = tuple(initial.input_shape[1:]), manifest.feature_spec.patch_shape
    if takes != wanted:
        raise TrainingError(f"the trunk takes patches of {takes}, the dataset has {wanted}: prepare it with --trunk")
    initial.trainable = True
    for layer in initial.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = options.train_norms
    return initial


def _rate(options: TrainingOptions, steps: int, *, is_new: bool) -> keras.optimizers.schedules.LearningRateSchedule:
    """Cosine decay to 0. In fine-tuning, with linear warm-up in the first epoch, because the output layer is new."""
    usual = LEARNING_RATE if is_new else FINE_TUNING_RATE
    peak = usual if options.learning_rate is None else options.learning_rate
    if is_new:
        return keras.optimizers.schedules.CosineDecay(peak, steps * options.epochs)
    falling = max(1, steps * (options.epochs - 1))
    return keras.optimizers.schedules.CosineDecay(0.0, falling, warmup_target=peak, warmup_steps=steps)


def _share(spread: tf.distribute.Strategy, batch_size: int) -> data.Share:
    share = placement.share(spread)
    if batch_size % share.all_replicas:
        raise TrainingError(f"batch_size={batch_size} cannot be shared equally by {share.all_replicas} devices")
    return share


class _Run:
    """One training run on its devices: a compiled model, and its state for checkpoints."""

    def __init__(
        self,
        manifest: DatasetManifest,
        train: Sequence[str],
        options: TrainingOptions,
        trunk: keras.Model,
        spread: tf.distribute.Strategy,
        *,
        is_new: bool,
    ) -> None:
        self._manifest, self._train, self._options, self._spread = manifest, train, options, spread
        self._share = _share(spread, options.sampling.batch_size)
        self._steps = data.steps_of_epoch(manifest, options.sampling)
        self._identity = {
            **_identity(manifest, options, self._share),
            "initial weights": None if is_new else digest_of(trunk),
            "network": digest(trunk.to_json()),
        }
        self._rate = _rate(options, self._steps, is_new=is_new)
        # The score of the first epochs of a new trunk is noise. A pretrained trunk may be best after the first one.
        self._unrated = options.epochs // 4 if is_new else 0
        with spread.scope():
            self._trunk = placement.working_copy(trunk, options.precision)
            self._model = self._compiled()
        self._step = _step_function(self._model, spread, options)
        self._logits = logits_function(self._model)
        self._done_steps = 0

    def _compiled(self) -> keras.Model:
        options, layout = self._options, layout_of(self._manifest.taxonomy)
        optimizer = keras.optimizers.AdamW(self._rate, weight_decay=1e-3, clipnorm=1.0)
        if options.precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        losses, weights = [masked_loss(layout)], [1.0]
        if options.similarity_weight:
            tags = rarity(self._manifest.tag_positive["train"], self._manifest.tag_known["train"])
            losses, weights = [*losses, similarity_loss(tags)], [*weights, options.similarity_weight]
        model = with_outputs(self._trunk, layout, embeds=len(losses) > 1)
        model.compile(optimizer=optimizer, loss=losses, loss_weights=weights, jit_compile=options.xla)
        if options.xla and not model.jit_compile:
            raise TrainingError(
                "xla: a layer cannot be compiled, or this process already is deterministic: train without --xla"
            )
        optimizer.build(model.trainable_variables)
        return model

    def fit(self, held: Validation) -> Progress:
        """Trains all epochs, or the remaining ones of a resumed run."""
        progress, first_step = self._restored()
        options, epochs = self._options, self._options.epochs
        writer = tf.summary.create_file_writer(options.logs) if options.logs and cluster.is_chief() else None
        restored = len(progress.history)
        if restored or first_step:
            _announce_resumed(restored, first_step, self._steps, epochs)
        with phase(
            "training the trunk",
            total=epochs - restored,
            unit="epochs",
            count=lambda: len(progress.history) - restored,
            further=self._epoch_facts,
        ):
            while len(progress.history) < epochs and not progress.is_over(options.patience):
                self._fit_epoch(progress, first_step)
                first_step = 0
                facts = {"loss": self._loss(), "learning_rate": self._rate_after(progress), **self._validated(held)}
                progress.add(facts, self._trunk.get_weights, self._unrated)
                self._save(progress, 0)
                _log(writer, progress, epochs)
        return progress

    def _fit_epoch(self, progress: Progress, first_step: int) -> None:
        epoch = len(progress.history)
        if not first_step:
            self._model.reset_metrics()
        batches = self._batches(epoch, first_step)
        for step in range(first_step + 1, self._steps + 1):
            self._step(batches)
            self._done_steps = step
            if self._options.checkpoint_steps and step % self._options.checkpoint_steps == 0 and step < self._steps:
                self._save(progress, step)

    def _epoch_facts(self) -> dict[str, int]:
        return {"steps in this epoch": self._done_steps} if self._done_steps < self._steps else {}

    def _batches(self, epoch: int, first_step: int) -> Iterator[Any]:
        def read(_: tf.distribute.InputContext) -> tf.data.Dataset:
            sampling = self._options.sampling
            batches = data.epoch_batches(self._train, self._manifest, sampling, epoch, self._share, first_step)
            return batches.map(lambda x, y: (x, (y,) * len(self._model.outputs)))

        return iter(self._spread.distribute_datasets_from_function(read))

    def _loss(self) -> float:
        return float(self._model.get_metrics_result()["loss"])

    def _rate_after(self, progress: Progress) -> float:
        return float(self._rate(self._steps * (len(progress.history) + 1)))

    def _validated(self, held: Validation) -> dict[str, float]:
        return placement.of_chief(held.rate(self._logits), self._spread)

    def _variables(self) -> list[keras.Variable]:
        """All variables that a step changes: weights, random state of dropout, optimizer, mean loss of the epoch."""
        metrics = [variable for metric in self._model.metrics for variable in metric.variables]
        return [*self._model.variables, *self._model.optimizer.variables, *metrics]

    def _save(self, progress: Progress, step: int) -> None:
        if not self._options.checkpoints:
            return
        # Every worker reads its variables, because some of them are sums over workers. Only the chief writes.
        arrays = {f"state/{i}": variable.numpy() for i, variable in enumerate(self._variables())}
        facts = {"step": step, **progress.to_facts()}
        if cluster.is_chief():
            found = Checkpoint(run=self._identity, facts=facts, arrays={**arrays, **progress.to_arrays()})
            checkpoints.save_checkpoint(self._options.checkpoints, found)

    def _restored(self) -> tuple[Progress, int]:
        """Progress of an earlier run and the finished steps of its next epoch; without a checkpoint, the start."""
        folder = self._options.checkpoints
        found = checkpoints.load_checkpoint(folder, self._identity) if folder else None
        if found is not None:
            note_kept_work()
        if folder is None or found is None:
            return Progress(), 0
        variables = self._variables()
        shapes = [tuple(variable.shape) for variable in variables]
        best = [weights.shape for weights in self._trunk.get_weights()]
        progress, step = checkpoints.restored(folder, found, shapes, best, self._steps)
        for i, variable in enumerate(variables):
            variable.assign(found.arrays[f"state/{i}"])
        return progress, step


def _identity(manifest: DatasetManifest, options: TrainingOptions, share: data.Share) -> dict[str, Any]:
    """Everything that the weights of a run depend on, by the names of options."""
    chosen = options.to_json()
    sampling = chosen.pop("sampling")
    return {
        **chosen,
        **sampling,
        "dataset": digest(json_bytes(manifest.to_json())),
        "workers": share.workers,
        "devices": share.replicas,
    }


def _step_function(
    model: keras.Model, spread: tf.distribute.Strategy, options: TrainingOptions
) -> Callable[[Iterator[Any]], None]:
    """A function that runs one `train_step` of Keras on each device.

    The training loop of Keras fails if each worker has one device.
    """
    step = tf.function(model.train_step, jit_compile=True, autograph=False) if options.xla else model.train_step

    def train(batches: Iterator[Any]) -> None:
        spread.run(step, args=(next(batches),))

    compiled: Callable[[Iterator[Any]], None] = tf.function(train)
    return compiled


def _announce_resumed(epochs_done: int, step: int, steps: int, epochs: int) -> None:
    done = epochs_done * steps + step
    announce(
        f"resumed at step {done:,} of {epochs * steps:,}, in epoch {epochs_done + 1} of {epochs}",
        resumed_at_step=done,
        epoch=epochs_done + 1,
    )


def _log(writer: tf.summary.SummaryWriter | None, progress: Progress, epochs: int) -> None:
    """Announces the last epoch, and writes its values for TensorBoard."""
    facts = progress.history[-1]
    values = {name: value for name, value in facts.items() if name != "epoch"}
    listed = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
    best = "the best so far" if progress.best_epoch == facts["epoch"] else f"the best is {progress.best_epoch + 1}"
    announce(f"epoch {int(facts['epoch']) + 1} of at most {epochs}: {listed} ({best})", **facts)
    if writer:
        with writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=int(facts["epoch"]))
        writer.flush()
