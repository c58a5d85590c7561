"""Trunks: networks from a patch to a patch embedding, by name."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers

from transforms.signal.spec import FeatureSpec


def compact(spec: FeatureSpec, mean: Sequence[float], std: Sequence[float]) -> keras.Model:
    """Four strided convolutions over time and frequency, then mean and maximum: 8 million multiply-adds a patch.

    The first one takes steps of four frames: finer steps double the time and are pooled away in the end.
    """
    inputs = keras.Input((*spec.patch_shape,), name="patch")
    x = layers.Reshape((*spec.patch_shape, 1), name="image")(_normalise(inputs, mean, std))
    for index, width in enumerate((16, 32, 64, 96)):
        size, strides = (5, (4, 2)) if index == 0 else (3, (2, 2))
        x = layers.Conv2D(width, size, strides, padding="same", use_bias=False, name=f"conv{index}")(x)
        x = layers.BatchNormalization(name=f"norm{index}", momentum=0.9)(x)
        x = layers.ReLU(name=f"relu{index}")(x)
    mean_pool = layers.GlobalAveragePooling2D(name="mean")(x)
    max_pool = layers.GlobalMaxPooling2D(name="max")(x)
    x = layers.Concatenate(name="pooled")([mean_pool, max_pool])
    x = layers.Dropout(0.3, name="dropout")(x)
    x = layers.Dense(96, activation="relu", name="embedding")(x)
    return keras.Model(inputs, x, name="compact")


def _normalise(inputs: keras.KerasTensor, mean: Sequence[float], std: Sequence[float]) -> keras.KerasTensor:
    """The input with each mel band at mean 0 and deviation 1 over the training split, baked in as weights."""
    layer = layers.Normalization(axis=-1, name="normalise")
    layer.build(inputs.shape)
    layer.adapt_mean.assign(np.asarray(mean, np.float32))
    # A band that never changes (digital silence) must not be blown up.
    layer.adapt_variance.assign(np.maximum(np.asarray(std, np.float32), 1e-3) ** 2)
    layer.finalize_state()
    return layer(inputs)


TRUNKS: dict[str, Callable[[FeatureSpec, Sequence[float], Sequence[float]], keras.Model]] = {"compact": compact}
"""Name -> builder, from feature spec and the training split's mean and deviation per mel band."""
