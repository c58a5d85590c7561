"""Trunks saved in Keras's own format: written, named by their weights, and loaded for inference."""

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from models.trunk_bundle import BundleError, TrunkFile
from transforms.records.hashing import digest

if TYPE_CHECKING:
    from models.embedding import Trunk

TRUNK_FILE = "trunk.keras"

_log = logging.getLogger(__name__)


def limit_threads(threads: int | None) -> None:
    """Gives TensorFlow this many threads in each of its two pools; None changes nothing.

    TensorFlow takes them once a process, before its first operation: later calls are logged and change nothing.
    """
    if threads is None:
        return
    threading = tf.config.threading
    now = (threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads())
    if now == (threads, threads):
        return
    try:
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        _log.warning("TensorFlow already runs with %s threads (0: one a core), wanted %d: kept", now, threads)


def digest_of(model: keras.Model) -> str:
    """SHA-256 of a trunk's weights: the same whenever, wherever and by whatever Keras the trunk was saved."""
    weights = [np.ascontiguousarray(weight) for weight in model.get_weights()]
    return digest(*(part for weight in weights for part in (str(weight.shape), weight.tobytes())))


def save(
    model: keras.Model, name: str, *, learned: bool, source: str = "", licence: str = ""
) -> tuple[TrunkFile, dict[str, bytes]]:
    """The trunk as files of a bundle: what the manifest says of it, and the files' bytes by name."""
    with tempfile.TemporaryDirectory(prefix="trunk-") as folder:
        path = Path(folder, TRUNK_FILE)
        model.save(path)
        files = {TRUNK_FILE: path.read_bytes()}
    facts = TrunkFile(
        name=name,
        digest=digest_of(model),
        patch_dim=int(model.output_shape[-1]),
        files={"keras": TRUNK_FILE},
        learned=learned,
        source=source,
        licence=licence,
    )
    return facts, files


def load_model(path: Path, facts: TrunkFile) -> keras.Model:
    """The network; Keras's safe mode refuses Lambda layers, and nothing is unpickled.

    Raises:
      BundleError: the loaded weights are not those that the bundle was written with.
    """
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    if (found := digest_of(model)) != facts.digest:
        raise BundleError(f"{path}: trunk digest {found}, the bundle's manifest says {facts.digest}")
    return model


def load(path: Path, facts: TrunkFile) -> "Trunk":
    """The trunk for inference, as `load_model` reads it."""
    return as_function(load_model(path, facts))


def as_function(model: keras.Model) -> "Trunk":
    """A trunk as a compiled function from and to numpy."""
    compiled = tf.function(lambda batch: model(batch, training=False), autograph=False)
    return lambda batch: compiled(tf.constant(batch)).numpy()
