"""Registry of trunks: networks that map a patch to a patch embedding."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers

from models.embedding.statistics import STATISTICS
from transforms.features.spec import FeatureSpec

Builder = Callable[[FeatureSpec, Sequence[float], Sequence[float]], keras.Model]

_MOMENTUM = 0.9
"""Momentum of BatchNormalization. It is low, so that its statistics converge in the few steps of small datasets."""


def compact(spec: FeatureSpec, mean: Sequence[float], std: Sequence[float]) -> keras.Model:
    """Four strided convolutions over time and frequency, then mean and maximum: 8 million multiply-adds per patch.

    The first one has a stride of four frames. A finer stride doubles the time, and the pooling discards its detail.
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
    """The residual short-chunk CNN of Won et al. 2020: seven blocks with stride 2, small filters, global maximum.

    Widths and shortcuts are those of the paper. Its input is 128 mel bands of 3.7 s; here the feature spec decides.
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
    """Inverted residuals (MobileNetV2, Sandler et al. 2018) at mobile size, then mean and maximum.

    The stem has a stride of four frames and two mels, like that of `compact`. Stages are (expansion, width, repeats,
    stride).
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
    """The input [frames, mels], and the normalised image [frames, mels, 1] for the first convolution."""
    inputs = keras.Input((*spec.patch_shape,), name="patch")
    return inputs, layers.Reshape((*spec.patch_shape, 1), name="image")(_normalise(inputs, mean, std))


def _normalise(inputs: keras.KerasTensor, mean: Sequence[float], std: Sequence[float]) -> keras.KerasTensor:
    """The input, standardised per mel band. Mean and deviation of the training split are stored as weights."""
    layer = layers.Normalization(axis=-1, name="normalise")
    layer.build(inputs.shape)
    layer.adapt_mean.assign(np.asarray(mean, np.float32))
    # The minimum keeps a constant band (digital silence) from being scaled up.
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
    """Two 3x3 convolutions, plus a third one as shortcut, at half the resolution."""
    shortcut = _conv(x, width, 3, 2, f"{name}_shortcut", f"{name}_shortcut_norm")
    x = _conv(x, width, 3, 2, f"{name}_conv0", f"{name}_norm0")
    x = layers.ReLU(name=f"{name}_relu0")(x)
    x = _conv(x, width, 3, 1, f"{name}_conv1", f"{name}_norm1")
    return layers.ReLU(name=f"{name}_relu1")(layers.Add(name=f"{name}_sum")([x, shortcut]))


def _inverted_residual(x: keras.KerasTensor, expansion: int, width: int, stride: int, name: str) -> keras.KerasTensor:
    """Expanding 1x1, depthwise 3x3 and linear 1x1 convolution, plus the input if the shape is the same."""
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
"""Name -> builder (feature spec, mean and deviation of each mel band over the training split); None: no network."""


def build_network(name: str, spec: FeatureSpec, mean: Sequence[float], std: Sequence[float]) -> keras.Model:
    """A new trunk by name. Its weights are drawn with Keras's global seed.

    Raises:
      ValueError: there is no such trunk, or it has no network.
    """
    if name not in TRUNKS:
        raise ValueError(f"trunk {name!r}: choose from {', '.join(sorted(TRUNKS))}")
    builder = TRUNKS[name]
    if builder is None:
        raise ValueError(f"trunk {name!r} has no network to train")
    return builder(spec, mean, std)
