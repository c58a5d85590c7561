"""A linear model with one small hidden layer, kept as a readable table: one line for each of its inputs."""

import dataclasses

import numpy as np

from transforms.audio.samples import Float32


@dataclasses.dataclass(frozen=True)
class Network:
    """Scores = inputs @ linear + tanh(inputs @ hidden + bias) @ output.

    Attributes:
      linear: float32 [inputs, scores].
      hidden: float32 [inputs, units].
      bias: float32 [units].
      output: float32 [units, scores].
    """

    linear: Float32
    hidden: Float32
    bias: Float32
    output: Float32

    def scores(self, inputs: Float32) -> Float32:
        """Float32 [..., inputs] -> float32 [..., scores]."""
        found: Float32 = inputs @ self.linear + np.tanh(inputs @ self.hidden + self.bias) @ self.output
        return found

    @classmethod
    def of_table(cls, table: str, scores: int) -> "Network":
        """Reads lines of numbers in thousandths.

        Inputs come first, each with its weights to the scores and then to the hidden units. One line with the biases
        of the units follows (zeros stand before them), then for each unit a line with its weights to the scores.
        A name before a colon is for the reader.
        """
        rows = [[int(word) for word in line.split(":")[-1].split()] for line in table.strip().splitlines()]
        units = len(rows[0]) - scores
        inputs = len(rows) - 1 - units
        numbers: Float32 = np.array(rows[: inputs + 1], np.float32) / np.float32(1_000)
        output: Float32 = np.array(rows[inputs + 1 :], np.float32) / np.float32(1_000)
        return cls(numbers[:-1, :scores], numbers[:-1, scores:], numbers[-1, scores:], output)

    def to_table(self, names: list[str]) -> str:
        """The text that `of_table` reads."""
        scores = self.linear.shape[1]
        rows = [
            *np.concatenate([self.linear, self.hidden], axis=1),
            np.concatenate([np.zeros(scores, np.float32), self.bias]),
            *self.output,
        ]
        labels = [*names, "bias", *(f"unit {unit}" for unit in range(len(self.output)))]
        lines = (
            f"{label}: {' '.join(str(round(float(value) * 1_000)) for value in row)}"
            for label, row in zip(labels, rows, strict=True)
        )
        return "\n".join(lines)


def shares(scores: Float32) -> Float32:
    """Softmax over the last axis."""
    raised = np.exp(scores - scores.max(-1, keepdims=True))
    found: Float32 = raised / raised.sum(-1, keepdims=True)
    return found


def calibrated(share: float, slope: float, shift: float) -> float:
    """Platt's scaling: sigmoid(slope * logit(share) + shift)."""
    inside = min(max(share, 1e-4), 1 - 1e-4)
    return float(1 / (1 + np.exp(-(slope * np.log(inside / (1 - inside)) + shift))))
