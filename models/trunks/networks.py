"""Trunks: networks from a patch to a patch embedding, by name."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers

from models.embedding.statistics import STATISTICS
from transforms.features.spec import FeatureSpec

Builder = Callable[[FeatureSpec, Sequence[float], Sequence[float]], keras.Model]

_MOMENTUM = 0.9
"""Of BatchNormalization: small datasets have few steps, and its statistics must follow within them."""


def compact(spec: FeatureSpec, mean: Sequence[float], std: Sequence[float]) -> keras.Model:
    """Four strided convolutions over time and frequency, then mean and maximum: 8 million multiply-adds a patch.

    The first one takes steps of four frames: finer steps double the time and are pooled away in the end.
    """
    inputs, x = _image(spec, mean, std)
    for index, width in enumerate((16, 32, 64, 96)):
        size, strides = (5, (4, 2)) if index == 0 else (3, (2, 2))
        x = _conv(x, width, size, strides, f"conv{index}", f"norm{index}")
        x = layers.ReLU(name=f"relu{index}")(x)
    x = layers.Dropout(0.3, name="dropout")(_mean_and_maximum(x))
    x = layers.Dense(96, activation="relu", name="embedding")(x)
    return keras.Model(inputs, x, name="compact")


def short_chunk_resnet(spec: FeatureSpec, mean: Sequence[float], std: Sequence[float]) -> keras.Model:
    """The residual short-chunk CNN of Won et al. 2020: seven halvings, small filters, maximum over what is left.

    Widths and shortcuts are the paper's; its input is 128 mels of 3.7 s, ours what the feature spec says.
    """
    inputs, x = _image(spec, mean, std)
    for index, width in enumerate((128, 128, 256, 256, 256, 256, 512)):
        x = _residual(x, width, f"block{index}")
    x = layers.GlobalMaxPooling2D(name="max")(x)
    x = layers.Dense(512, use_bias=False, name="dense")(x)
    x = layers.BatchNormalization(name="dense_norm", momentum=_MOMENTUM)(x)
    x = layers.ReLU(name="embedding")(x)
    return keras.Model(inputs, x, name="short_chunk_resnet")


def mobile(spec: FeatureSpec, mean: Sequence[float], std: Sequence[float]) -> keras.Model:
    """Inverted residuals (Sandler et al. 2018) at the size of a telephone, then mean and maximum.

    The stem takes steps of four frames and two mels, as that of `compact`; (expansion, width, repeats, stride) follow.
    """
    inputs, x = _image(spec, mean, std)
    x = _conv(x, 16, 5, (4, 2), "stem", "stem_norm")
    x = layers.ReLU(6.0, name="stem_relu")(x)
    stages = ((2, 24, 1, 2), (4, 32, 2, 2), (4, 64, 3, 2), (4, 96, 1, 1))
    for stage, (expansion, width, repeats, stride) in enumerate(stages):
        for index in range(repeats):
            x = _inverted_residual(x, expansion, width, stride if index == 0 else 1, f"stage{stage}_{index}")
    x = _conv(x, 256, 1, 1, "last", "last_norm")
    x = layers.ReLU(6.0, name="last_relu")(x)
    x = layers.Dropout(0.3, name="dropout")(_mean_and_maximum(x))
    x = layers.Dense(128, activation="relu", name="embedding")(x)
    return keras.Model(inputs, x, name="mobile")


def _image(
    spec: FeatureSpec, mean: Sequence[float], std: Sequence[float]
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input [frames, mels] and what the first convolution sees of it: normalised, with one channel."""
    inputs = keras.Input((*spec.patch_shape,), name="patch")
    return inputs, layers.Reshape((*spec.patch_shape, 1), name="image")(_normalise(inputs, mean, std))


def _normalise(inputs: keras.KerasTensor, mean: Sequence[float], std: Sequence[float]) -> keras.KerasTensor:
    """The input with each mel band at mean 0 and deviation 1 over the training split, baked in as weights."""
    layer = layers.Normalization(axis=-1, name="normalise")
    layer.build(inputs.shape)
    layer.adapt_mean.assign(np.asarray(mean, np.float32))
    # A band that never changes (digital silence) must not be blown up.
    layer.adapt_variance.assign(np.maximum(np.asarray(std, np.float32), 1e-3) ** 2)
    layer.finalize_state()
    return layer(inputs)


def _conv(
    x: keras.KerasTensor, width: int, size: int, strides: int | tuple[int, int], name: str, norm: str
) -> keras.KerasTensor:
    x = layers.Conv2D(width, size, strides, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(name=norm, momentum=_MOMENTUM)(x)


def _mean_and_maximum(x: keras.KerasTensor) -> keras.KerasTensor:
    pooled = [layers.GlobalAveragePooling2D(name="mean")(x), layers.GlobalMaxPooling2D(name="max")(x)]
    return layers.Concatenate(name="pooled")(pooled)


def _residual(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    """Two 3x3 convolutions beside a third one as shortcut, at half the resolution."""
    shortcut = _conv(x, width, 3, 2, f"{name}_shortcut", f"{name}_shortcut_norm")
    x = _conv(x, width, 3, 2, f"{name}_conv0", f"{name}_norm0")
    x = layers.ReLU(name=f"{name}_relu0")(x)
    x = _conv(x, width, 3, 1, f"{name}_conv1", f"{name}_norm1")
    return layers.ReLU(name=f"{name}_relu1")(layers.Add(name=f"{name}_sum")([x, shortcut]))


def _inverted_residual(x: keras.KerasTensor, expansion: int, width: int, stride: int, name: str) -> keras.KerasTensor:
    """Wide 1x1, 3x3 within each channel, narrow linear 1x1; added to its input where the shape stays."""
    before, channels = x, x.shape[-1]
    x = _conv(x, expansion * channels, 1, 1, f"{name}_expand", f"{name}_expand_norm")
    x = layers.ReLU(6.0, name=f"{name}_expand_relu")(x)
    x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=f"{name}_depth")(x)
    x = layers.BatchNormalization(name=f"{name}_depth_norm", momentum=_MOMENTUM)(x)
    x = layers.ReLU(6.0, name=f"{name}_depth_relu")(x)
    x = _conv(x, width, 1, 1, f"{name}_project", f"{name}_project_norm")
    return layers.Add(name=f"{name}_sum")([before, x]) if stride == 1 and channels == width else x


TRUNKS: dict[str, Builder | None] = {
    "compact": compact,
    "mobile": mobile,
    "short_chunk_resnet": short_chunk_resnet,
    STATISTICS: None,
}
"""Name -> builder, from feature spec and the training split's mean and deviation per mel band; None: no network."""


def build_network(name: str, spec: FeatureSpec, mean: Sequence[float], std: Sequence[float]) -> keras.Model:
    """A new trunk by name, its weights drawn from Keras's seed.

    Raises:
      ValueError: no such trunk, or one without a network.
    """
    if name not in TRUNKS:
        raise ValueError(f"trunk {name!r}: choose from {', '.join(sorted(TRUNKS))}")
    builder = TRUNKS[name]
    if builder is None:
        raise ValueError(f"trunk {name!r} has no network that could be trained")
    return builder(spec, mean, std)
