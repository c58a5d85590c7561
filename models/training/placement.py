"""Devices and precision of training: one device, several devices, or several workers."""

import functools
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from models.training.cluster import cluster, is_alone, is_chief
from models.training.data import Share
from models.training.errors import TrainingError

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
PRECISIONS: tuple[Precision, ...] = ("float32", "mixed_float16", "mixed_bfloat16")


@functools.cache
def strategy(devices: int | None = None) -> tf.distribute.Strategy:
    """The distribution strategy. Call it before the first operation: TensorFlow sets up devices and workers only once.

    With `TF_CONFIG` in the environment all workers take part with all their devices, else only this process.

    Args:
      devices: number of GPUs, or of processor devices without a GPU (they share the cores); None: every GPU.

    Raises:
      TrainingError: there are fewer devices, TensorFlow already runs with fewer, or `devices` is given with several
        workers.
    """
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU" and devices is not None and devices > 1:
        _split_processor(devices)
    found = [device.name for device in tf.config.list_logical_devices(kind)] if is_alone() else []
    if is_alone():
        return _local(found if kind == "GPU" or devices else found[:1], devices)
    if devices is not None:
        raise TrainingError("with TF_CONFIG every worker uses all its devices: leave --devices out")
    return tf.distribute.MultiWorkerMirroredStrategy()


def _local(found: list[str], devices: int | None) -> tf.distribute.Strategy:
    if devices is not None and devices > len(found):
        raise TrainingError(f"{devices} devices: there are only {len(found)} ({', '.join(found)})")
    chosen = found[:devices]
    return tf.distribute.MirroredStrategy(chosen) if len(chosen) > 1 else tf.distribute.get_strategy()


def _split_processor(devices: int) -> None:
    try:
        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * devices)
    except RuntimeError:
        pass  # TensorFlow already runs: the caller checks whether it has enough devices


def share(spread: tf.distribute.Strategy) -> Share:
    """The part of the batches that this process reads.

    Raises:
      TrainingError: the cluster has tasks other than chief, worker and evaluator.
    """
    if not isinstance(spread, tf.distribute.MultiWorkerMirroredStrategy):
        return Share(replicas=spread.num_replicas_in_sync)
    resolver, tasks = spread.cluster_resolver, cluster()
    if strange := sorted(set(tasks) - {"chief", "worker", "evaluator"}):
        raise TrainingError(f"TF_CONFIG has tasks {', '.join(strange)}: use only chief and worker")
    chiefs, workers = len(tasks.get("chief", ())), len(tasks["worker"])
    number = resolver.task_id + (chiefs if resolver.task_type == "worker" else 0)
    replicas = spread.num_replicas_in_sync // (chiefs + workers)
    return Share(worker=number, workers=chiefs + workers, replicas=replicas)


def working_copy(trunk: keras.Model, precision: Precision) -> keras.Model:
    """A copy of the trunk with the same weights, in this precision. Call it in the scope of the strategy.

    Weights are float32 in every precision, and the input is normalised in float32.
    """

    def copied(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if not isinstance(layer, keras.layers.Normalization | keras.layers.InputLayer):
            config = {**config, "dtype": precision}
        return type(layer).from_config(config)

    copy = keras.models.clone_model(trunk, clone_function=copied)
    copy.set_weights(trunk.get_weights())
    for layer in copy.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return copy


def of_chief(values: dict[str, float], spread: tf.distribute.Strategy) -> dict[str, float]:
    """Returns the chief's values, rounded to float32, on every worker, so that all make the same decisions."""
    if not isinstance(spread, tf.distribute.MultiWorkerMirroredStrategy):
        return values
    names = sorted(values)
    mine = np.array([values[name] for name in names], np.float32) * is_chief()

    def gathered() -> tf.Tensor:
        # All devices of a worker have equal values, so the sum contains the chief's values once per device.
        return spread.reduce("SUM", spread.run(lambda: tf.constant(mine)), axis=None)

    shared = tf.function(gathered)().numpy() / share(spread).replicas
    return dict(zip(names, shared.tolist(), strict=True))
