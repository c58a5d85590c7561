"""Where a trunk is trained: on one device, on several, or by several workers; and in which precision."""

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
    """How training is spread. Asked for before the first operation: TensorFlow sets up devices and workers once.

    With `TF_CONFIG` in the environment every worker takes part with its devices, else this process alone.

    Args:
      devices: GPUs to use, or processor devices where there is no GPU (they share the cores); None: every GPU.

    Raises:
      TrainingError: there are fewer GPUs, or TensorFlow runs already with fewer devices.
    """
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU" and devices is not None and devices > 1:
        _split_processor(devices)
    found = [device.name for device in tf.config.list_logical_devices(kind)] if is_alone() else []
    if is_alone():
        return _local(found if kind == "GPU" or devices else found[:1], devices)
    if devices is not None:
        raise TrainingError("devices are not chosen under TF_CONFIG: every worker takes all that it has")
    return tf.distribute.MultiWorkerMirroredStrategy()


def _local(found: list[str], devices: int | None) -> tf.distribute.Strategy:
    if devices is not None and devices > len(found):
        raise TrainingError(f"{devices} devices: there are {len(found)} ({', '.join(found)})")
    chosen = found[:devices]
    return tf.distribute.MirroredStrategy(chosen) if len(chosen) > 1 else tf.distribute.get_strategy()


def _split_processor(devices: int) -> None:
    try:
        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * devices)
    except RuntimeError:
        pass  # TensorFlow runs already: whether it has enough devices is seen next


def share(spread: tf.distribute.Strategy) -> Share:
    """The part of the batches that this process reads.

    Raises:
      TrainingError: a cluster holds other tasks than workers.
    """
    if not isinstance(spread, tf.distribute.MultiWorkerMirroredStrategy):
        return Share(replicas=spread.num_replicas_in_sync)
    resolver, tasks = spread.cluster_resolver, cluster()
    if strange := sorted(set(tasks) - {"chief", "worker", "evaluator"}):
        raise TrainingError(f"TF_CONFIG names {', '.join(strange)}: training knows chief and worker")
    chiefs, workers = len(tasks.get("chief", ())), len(tasks["worker"])
    number = resolver.task_id + (chiefs if resolver.task_type == "worker" else 0)
    replicas = spread.num_replicas_in_sync // (chiefs + workers)
    return Share(worker=number, workers=chiefs + workers, replicas=replicas)


def working_copy(trunk: keras.Model, precision: Precision) -> keras.Model:
    """The trunk with the same weights, for the strategy in whose scope it is made, in a precision.

    Weights stay float32 in each of them; the input is normalised in float32.
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
    """What the chief has found, on every worker: all must come to the same decision. Values as float32."""
    if not isinstance(spread, tf.distribute.MultiWorkerMirroredStrategy):
        return values
    names = sorted(values)
    mine = np.array([values[name] for name in names], np.float32) * is_chief()

    def gathered() -> tf.Tensor:
        # Each device of a worker holds the same: the sum over devices counts the chief's so many times.
        return spread.reduce("SUM", spread.run(lambda: tf.constant(mine)), axis=None)

    shared = tf.function(gathered)().numpy() / share(spread).replicas
    return dict(zip(names, shared.tolist(), strict=True))
