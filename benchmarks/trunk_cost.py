"""What a trunk costs: weights, and multiply-adds a patch counted layer by layer."""

import math

import keras


def parameters(model: keras.Model) -> int:
    """Weights of all layers, statistics of normalisations among them."""
    return int(model.count_params())


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of convolutions and dense layers for one patch; what other layers do is below a hundredth of it."""
    return sum(_layer(layer) for layer in model.layers)


def _layer(layer: keras.Layer) -> int:
    """Every value that the layer gives is a sum over its kernel, and over the input channels that it mixes."""
    if isinstance(layer, keras.Model):
        return multiply_adds(layer)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return _size(layer.output) * math.prod(layer.kernel_size)
    if isinstance(layer, keras.layers.Conv1D | keras.layers.Conv2D):
        return _size(layer.output) * math.prod(layer.kernel_size) * layer.input.shape[-1] // layer.groups
    if isinstance(layer, keras.layers.Dense):
        return _size(layer.output) * layer.input.shape[-1]
    if not layer.weights or isinstance(layer, keras.layers.BatchNormalization | keras.layers.Normalization):
        return 0
    raise ValueError(f"layer {layer.name}: how many multiply-adds a {type(layer).__name__} takes is not known")


def _size(tensor: keras.KerasTensor) -> int:
    return math.prod(tensor.shape[1:])
