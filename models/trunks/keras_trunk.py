"""Trunks as Keras networks: export in every format, digest of weights, and loading for inference."""

import logging
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from models.bundles.trunk_bundle import BundleError, TrunkFile
from models.trunks.batch_size import chosen_batch
from models.trunks.keras_archive import check_archive
from models.trunks.onnx_trunk import OnnxTrunk
from transforms.formats.hashing import digest

if TYPE_CHECKING:
    from models.embedding.embedder import Trunk

FILES = {"keras": "trunk.keras", "saved_model": "saved_model", "onnx": "trunk.onnx"}
"""Format -> file, or folder of files, of an exported trunk."""

EXPORT_TOLERANCE = 1e-3
"""Largest relative difference between a network and its ONNX file. Typical differences are 1e-6."""

_log = logging.getLogger(__name__)


def limit_threads(threads: int | None) -> None:
    """Sets the number of threads in each of TensorFlow's two pools; None changes nothing.

    TensorFlow accepts it only before its first operation in a process. Later calls log a warning and change nothing.
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
        _log.warning(
            "TensorFlow already runs with %s threads (0: one per core): cannot change them to %d", now, threads
        )


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def digest_of(model: keras.Model) -> str:
    """SHA-256 of a trunk's weights. It does not depend on time, place or Keras version of saving."""
    weights = [np.ascontiguousarray(weight) for weight in model.get_weights()]
    return digest(*(part for weight in weights for part in (str(weight.shape), weight.tobytes())))


def export_trunk(
    model: keras.Model, name: str, *, learned: bool, source: str = "", licence: str = ""
) -> tuple[TrunkFile, dict[str, bytes]]:
    """Exports the trunk in every format. Returns its entry in the manifest, and the bytes of its files by name."""
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
        batch=chosen_batch(files[FILES["onnx"]], model.input_shape[1:]),
        files=dict(FILES),
        learned=learned,
        source=source,
        licence=licence,
    )
    return facts, files


def _export_onnx(model: keras.Model, path: Path) -> None:
    """Writes the ONNX file.

    Normalisation layers store mean and variance as tensors, which the converter treats as inputs of the graph. As
    arrays, they become constants.
    """
    normalisations = [layer for layer in model.layers if isinstance(layer, keras.layers.Normalization)]
    kept = [(layer.mean, layer.variance) for layer in normalisations]
    try:
        for layer in normalisations:
            layer.mean, layer.variance = np.asarray(layer.mean), np.asarray(layer.variance)
        with warnings.catch_warnings(action="ignore"):  # Keras's converter uses names that numpy no longer has
            model.export(path, format="onnx", verbose=False)
    finally:
        for layer, (mean, variance) in zip(normalisations, kept, strict=True):
            layer.mean, layer.variance = mean, variance


def _check_onnx(model: keras.Model, onnx: bytes) -> None:
    """Raises BundleError unless the ONNX file and the network give the same embeddings of noise."""
    exported = OnnxTrunk(onnx)
    noise = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    if len(exported.inputs) != 1:
        raise BundleError(
            f"{model.name}: its ONNX file has inputs {[one.name for one in exported.inputs]} instead of only patches"
        )
    wanted, found = as_function(model)(noise), exported(noise)
    if not np.allclose(found, wanted, rtol=EXPORT_TOLERANCE, atol=EXPORT_TOLERANCE * np.abs(wanted).max()):
        raise BundleError(f"{model.name}: its ONNX file differs from the network by {np.abs(found - wanted).max()}")


def load_model(path: Path, facts: TrunkFile) -> keras.Model:
    """Loads the network, without pickle and functions of its own.

    Raises:
      BundleError: it is not a network of this program, see `check_archive`, or the weights differ from those that the
        bundle was written with.
    """
    check_archive(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except ImportError:  # TensorFlow is not installed
        raise
    except Exception as error:  # Keras passes on whatever its layers raise
        raise BundleError(f"{path}: Keras cannot load this network: {' '.join(str(error).split())[:500]}") from error
    if (found := digest_of(model)) != facts.digest:
        raise BundleError(f"{path}: trunk digest {found}, but the bundle's manifest has {facts.digest}")
    return model


def load_keras_trunk(path: Path, facts: TrunkFile) -> "Trunk":
    """The trunk for inference; see `load_model`."""
    return as_function(load_model(path, facts))


def as_function(model: keras.Model) -> "Trunk":
    """A trunk as a compiled function of numpy arrays."""
    compiled = tf.function(lambda batch: model(batch, training=False), autograph=False)
    return lambda batch: compiled(tf.constant(batch)).numpy()
