"""Fits a `Network` by Adam on the probability that a softmax gives to the right answers."""

import dataclasses

import numpy as np

from transforms.audio.samples import Float32
from transforms.features.rhythm.network import Network

_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Setting:
    """Hidden units, passes over the data, first step (it falls to 0 as a cosine), weight decay, seed."""

    units: int = 8
    epochs: int = 40
    step: float = 4e-3
    decay: float = 1e-2
    seed: int = 0


def fit(inputs: Float32, right: Float32, weights: Float32, setting: Setting, fixed: int | None = None) -> Network:
    """Inputs are [pieces, answers, inputs] with one score, or [pieces, inputs] with a score for each column of `right`.

    Args:
      inputs: float32; scaled to mean 0 and deviation 1 for the fit, and back in the result.
      right: float32 [pieces, answers], 1 where an answer is right; several may be.
      weights: float32 [pieces].
      setting: how to descend.
      fixed: index of the input that is always 1 (it takes the constants), where there is one.
    """
    flat = inputs.reshape(-1, inputs.shape[-1])
    mean, deviation = flat.mean(0), flat.std(0) + 1e-3
    if fixed is not None:
        mean[fixed], deviation[fixed] = 0, 1
    scores = 1 if inputs.ndim == 3 else right.shape[1]
    found = _descend((inputs - mean) / deviation, right, weights, setting, scores)
    linear, hidden = found["linear"] / deviation[:, None], found["hidden"] / deviation[:, None]
    if fixed is not None:
        linear[fixed] -= mean @ linear
    return Network(linear, hidden, found["bias"] - mean @ hidden, found["output"])


def _descend(inputs: Float32, right: Float32, weights: Float32, setting: Setting, scores: int) -> dict[str, Float32]:
    rng = np.random.default_rng(setting.seed)
    wide, units = inputs.shape[-1], setting.units
    values = {
        "linear": np.zeros((wide, scores), np.float32),
        "hidden": (rng.standard_normal((wide, units)) * 0.3 / np.sqrt(wide)).astype(np.float32),
        "bias": np.zeros(units, np.float32),
        "output": (rng.standard_normal((units, scores)) * 0.1).astype(np.float32),
    }
    first = {name: np.zeros_like(value) for name, value in values.items()}
    second = {name: np.zeros_like(value) for name, value in values.items()}
    count = 0
    for epoch in range(setting.epochs):
        step = setting.step * 0.5 * (1 + np.cos(np.pi * epoch / setting.epochs))
        order = rng.permutation(len(inputs))
        for start in range(0, len(order), _BATCH):
            rows, count = order[start : start + _BATCH], count + 1
            for name, slope in _slopes(inputs[rows], right[rows], weights[rows], values, setting.decay).items():
                first[name] = 0.9 * first[name] + 0.1 * slope
                second[name] = 0.999 * second[name] + 0.001 * slope**2
                moved = first[name] / (1 - 0.9**count) / (np.sqrt(second[name] / (1 - 0.999**count)) + 1e-8)
                values[name] = (values[name] - step * moved).astype(np.float32)
    return values


def _slopes(
    inputs: Float32, right: Float32, weights: Float32, values: dict[str, Float32], decay: float
) -> dict[str, Float32]:
    """Gradient of -log(sum of the right answers' probability), and of the decay."""
    flat = inputs.reshape(-1, inputs.shape[-1])
    active = np.tanh(flat @ values["hidden"] + values["bias"])
    scores = (flat @ values["linear"] + active @ values["output"]).reshape(right.shape)
    raised = np.exp(scores - scores.max(1, keepdims=True))
    belief = raised / raised.sum(1, keepdims=True)
    told = belief * right
    told /= told.sum(1, keepdims=True) + 1e-9
    slope = ((belief - told) * weights[:, None] / len(inputs)).reshape(len(flat), -1)
    inner = (slope @ values["output"].T) * (1 - active**2)
    return {
        "linear": flat.T @ slope + decay * values["linear"],
        "hidden": flat.T @ inner + decay * values["hidden"],
        "bias": inner.sum(0),
        "output": active.T @ slope + decay * values["output"],
    }
