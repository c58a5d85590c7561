"""Trunks as Keras networks: written in every format, named by their weights, and loaded for inference."""

import logging
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from models.bundles.trunk_bundle import BundleError, TrunkFile
from models.trunks.onnx_trunk import OnnxTrunk
from transforms.formats.hashing import digest

if TYPE_CHECKING:
    from models.embedding.embedder import Trunk

FILES = {"keras": "trunk.keras", "saved_model": "saved_model", "onnx": "trunk.onnx"}
"""Format -> file, or folder of files, of an exported trunk."""

EXPORT_TOLERANCE = 1e-3
"""Largest relative difference between a network and its ONNX file; usual are 1e-6."""

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


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def digest_of(model: keras.Model) -> str:
    """SHA-256 of a trunk's weights: the same whenever, wherever and by whatever Keras the trunk was saved."""
    weights = [np.ascontiguousarray(weight) for weight in model.get_weights()]
    return digest(*(part for weight in weights for part in (str(weight.shape), weight.tobytes())))


def export_trunk(
    model: keras.Model, name: str, *, learned: bool, source: str = "", licence: str = ""
) -> tuple[TrunkFile, dict[str, bytes]]:
    """The trunk as files of a bundle, in every format: what the manifest says of it, and the files' bytes by name."""
    with tempfile.TemporaryDirectory(prefix="trunk-") as folder:
        model.save(Path(folder, FILES["keras"]))
        model.export(Path(folder, FILES["saved_model"]), format="tf_saved_model", verbose=False)
        _export_onnx(model, Path(folder, FILES["onnx"]))
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
        }
    _check_onnx(model, files[FILES["onnx"]])
    facts = TrunkFile(
        name=name,
        digest=digest_of(model),
        patch_dim=int(model.output_shape[-1]),
        files=dict(FILES),
        learned=learned,
        source=source,
        licence=licence,
    )
    return facts, files


def _export_onnx(model: keras.Model, path: Path) -> None:
    """Writes the ONNX file.

    Normalisations hold mean and deviation as tensors, which the converter takes for further inputs of the graph; as
    arrays they become constants.
    """
    normalisations = [layer for layer in model.layers if isinstance(layer, keras.layers.Normalization)]
    kept = [(layer.mean, layer.variance) for layer in normalisations]
    try:
        for layer in normalisations:
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
        with warnings.catch_warnings(action="ignore"):  # Keras's converter looks for names that numpy no longer has
            model.export(path, format="onnx", verbose=False)
    finally:
        for layer, (mean, variance) in zip(normalisations, kept, strict=True):
            layer.mean, layer.variance = mean, variance


def _check_onnx(model: keras.Model, onnx: bytes) -> None:
    """Raises BundleError unless the ONNX file gives the network's own embeddings of some noise."""
    exported = OnnxTrunk(onnx)
    noise = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    if len(exported.inputs) != 1:
        raise BundleError(
            f"{model.name}: its ONNX file wants {[one.name for one in exported.inputs]}, not patches alone"
        )
    wanted, found = as_function(model)(noise), exported(noise)
    if not np.allclose(found, wanted, rtol=EXPORT_TOLERANCE, atol=EXPORT_TOLERANCE * np.abs(wanted).max()):
        raise BundleError(f"{model.name}: its ONNX file differs from the network by {np.abs(found - wanted).max()}")


def load_model(path: Path, facts: TrunkFile) -> keras.Model:
    """The network; Keras's safe mode refuses Lambda layers, and nothing is unpickled.

    Raises:
      BundleError: the loaded weights are not those that the bundle was written with.
    """
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    if (found := digest_of(model)) != facts.digest:
        raise BundleError(f"{path}: trunk digest {found}, the bundle's manifest says {facts.digest}")
    return model


def load_keras_trunk(path: Path, facts: TrunkFile) -> "Trunk":
    """The trunk for inference, as `load_model` reads it."""
    return as_function(load_model(path, facts))


def as_function(model: keras.Model) -> "Trunk":
    """A trunk as a compiled function from and to numpy."""
    compiled = tf.function(lambda batch: model(batch, training=False), autograph=False)
    return lambda batch: compiled(tf.constant(batch)).numpy()
