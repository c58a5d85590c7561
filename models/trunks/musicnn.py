"""MusiCNN (Pons & Serra 2019) in Keras 3: the network, its published weights, and bundles with them."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from models.bundles.tagger_bundle import Bundle, TagFacts, Tagging
from models.bundles.trunk_bundle import Embedding
from models.bundles.writing import write_bundle
from models.embedding.pooling import Pooling
from models.scoring.heads import Heads
from models.trunks import keras_trunk
from models.trunks.musicnn_card import SOURCE, musicnn_card
from models.trunks.musicnn_package import PackageError, TensorFlowCheckpoint, taxonomy_of
from transforms.features.spec import FeatureSpec

SPEC = FeatureSpec(compression="log10p1")
"""Input of the published networks: 16 kHz, FFT 512, hop 256, 96 mel bands, log10(1 + 10,000 x), 187 frames."""

THRESHOLD = 0.2
"""Default threshold of every tag. For calibrated scores, the threshold with the best F1 is half of that F1 (Lipton et
al. 2014), and such taggers reach a macro F1 of about 0.4."""

_EPSILON = 1e-3
"""Epsilon of batch normalisation in TensorFlow 1."""


def network(spec: FeatureSpec = SPEC) -> keras.Model:
    """The network up to its penultimate layer: [n, frames, mels] -> [n, 200]; 1.4 billion multiply-adds per patch.

    Layers are created in the order of the checkpoint's variables, because the order decides their names.
    """
    named = _Namer()
    patch = keras.Input(spec.patch_shape, name="patch")
    image = named.norm()(layers.Reshape((*spec.patch_shape, 1), name="image")(patch))
    front = _front_end(image, spec, named)
    features = layers.Concatenate(name="features")([front, *_mid_end(front, named)])
    # Maximum and mean of each channel are adjacent: max 0, mean 0, max 1, mean 1, ...
    pooled = [
        layers.Reshape((features.shape[-1], 1), name=f"{name}_column")(kind(name=name)(features))
        for name, kind in (("max", layers.GlobalMaxPooling1D), ("mean", layers.GlobalAveragePooling1D))
    ]
    x = layers.Flatten(name="interleaved")(layers.Concatenate(name="pooled")(pooled))
    x = layers.Dropout(0.5, name="dropout")(named.norm()(x))
    x = layers.Dense(200, activation="relu", name="dense")(x)
    return keras.Model(patch, named.norm()(x), name="musicnn")


class _Namer:
    """Creates layers with the names of their variables in TensorFlow 1: `conv2d`, `conv2d_1` ..."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def norm(self) -> layers.Layer:
        return layers.BatchNormalization(epsilon=_EPSILON, name=self._next("batch_normalization"))

    def conv(self, kind: type[layers.Layer], filters: int, size: int | tuple[int, int], padding: str) -> layers.Layer:
        return kind(filters, size, padding=padding, activation="relu", name=self._next("conv2d"))

    def _next(self, kind: str) -> str:
        count = self._counts.get(kind, 0)
        self._counts[kind] = count + 1
        return f"{kind}_{count}" if count else kind


def _front_end(image: keras.KerasTensor, spec: FeatureSpec, named: _Namer) -> keras.KerasTensor:
    """Filters tall in frequency (timbre) or long in time (rhythm), then maximum over frequency: [n, t, 561]."""
    padded = layers.ZeroPadding2D(((3, 3), (0, 0)), name="padded")(image)
    timbral = [(7, int(share * spec.n_mels)) for share in (0.4, 0.7)]
    found = [_highest(named.conv(layers.Conv2D, 204, size, "valid")(padded), named) for size in timbral]
    temporal = [(frames, 1) for frames in (128, 64, 32)]
    found += [_highest(named.conv(layers.Conv2D, 51, size, "same")(image), named) for size in temporal]
    return layers.Concatenate(name="front_end")(found)


def _highest(x: keras.KerasTensor, named: _Namer) -> keras.KerasTensor:
    x = named.norm()(x)
    frames, bands, channels = x.shape[1:]
    pooled = layers.MaxPooling2D((1, bands), name=f"highest_{x.name}")(x)
    return layers.Reshape((frames, channels), name=f"line_{x.name}")(pooled)


def _mid_end(front: keras.KerasTensor, named: _Namer) -> list[keras.KerasTensor]:
    """Three convolutions over time, the last two with residual connections: [n, t, 64] each."""
    first = named.norm()(named.conv(layers.Conv1D, 64, 7, "same")(front))
    second = layers.Add(name="second")([named.norm()(named.conv(layers.Conv1D, 64, 7, "same")(first)), first])
    third = layers.Add(name="third")([named.norm()(named.conv(layers.Conv1D, 64, 7, "same")(second)), second])
    return [first, second, third]


def load_network(checkpoint: TensorFlowCheckpoint) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """The network with its published weights, and its output layer: weights float32 [200, 50], bias [50].

    Raises:
      PackageError: the checkpoint does not fit the network.
    """
    model = network()
    with tempfile.TemporaryDirectory(prefix="musicnn-") as folder:
        # The published files have an empty prefix, which `load_checkpoint` does not accept.
        for part, data in checkpoint.files.items():
            Path(folder, f"weights.{part}").write_bytes(data)
        try:
            weights = tf.train.load_checkpoint(str(Path(folder, "weights")))
            for layer in model.layers:
                if layer.weights:
                    layer.set_weights([_fitted(weights, layer.name, variable) for variable in layer.weights])
            return model, weights.get_tensor("dense_1/kernel"), weights.get_tensor("dense_1/bias")
        except (tf.errors.OpError, ValueError) as error:
            raise PackageError(f"{checkpoint.dataset}_musicnn: not the published checkpoint: {error}") from error


def _fitted(weights: "tf.train.CheckpointReader", layer: str, variable: keras.Variable) -> np.ndarray:
    """The values of a variable. A 2D kernel over the full width becomes a 1D kernel: [7, w, 1, f] -> [7, w, f]."""
    values: np.ndarray = weights.get_tensor(f"{layer}/{variable.name}")
    return values.reshape(variable.shape) if values.ndim == 4 and len(variable.shape) == 3 else values


def write_musicnn_bundle(url: str, checkpoint: TensorFlowCheckpoint) -> Bundle:
    """Writes a bundle: the network is the trunk; its output layer becomes heads on the mean of the patch embeddings."""
    model, weights, bias = load_network(checkpoint)
    taxonomy, outputs = taxonomy_of(checkpoint.labels)
    name = f"musicnn-{checkpoint.dataset}"
    facts, files = keras_trunk.export_trunk(
        model, name, learned=False, source=SOURCE, licence=f"ISC\n\n{checkpoint.licence}"
    )
    heads = _heads(weights[:, outputs].astype(np.float64), bias[outputs].astype(np.float64))
    tags = tuple(TagFacts(tag=tag, threshold=THRESHOLD) for tag in taxonomy.tag_ids)
    documents = {
        "MODEL_CARD.md": musicnn_card(checkpoint.dataset, taxonomy).encode(),
        "LICENSE.musicnn.txt": checkpoint.licence.encode(),
    }
    return write_bundle(
        url,
        Embedding(spec=SPEC, pooling=Pooling(statistics="none"), trunks=(facts,)),
        Tagging(taxonomy=taxonomy, heads=heads, tags=tags),
        {**files, **documents},
    )


def _heads(weights: np.ndarray, bias: np.ndarray) -> Heads:
    """Heads without calibration on [mean, deviation] of the patch embeddings. They use only the mean."""
    dim, tags = weights.shape
    return Heads(
        mean=np.zeros(2 * dim),
        scale=np.ones(2 * dim),
        weights=np.concatenate([weights, np.zeros((dim, tags))]),
        bias=bias,
        slope=np.ones(tags),
        offset=np.zeros(tags),
    )
