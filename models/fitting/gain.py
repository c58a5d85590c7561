"""The difference in loss between two models on the same tracks, with its standard error."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Gain(NamedTuple):
    """How much one model reduces the mean loss of another on the same tracks, with the standard error."""

    mean: float
    standard_error: float

    @classmethod
    def of(cls, losses: np.ndarray, lower: np.ndarray, groups: Sequence[str | int]) -> "Gain | None":
        """Returns the gain from `losses` to `lower`, or None for fewer than two groups.

        The standard error is over groups instead of tracks, because tracks of an artist resemble each other.

        Args:
          losses: loss of each track with the first model, [n].
          lower: loss of each track with the second model, [n].
          groups: group (artist) of each track.
        """
        names, group = np.unique(np.asarray(groups), return_inverse=True)
        if len(names) < 2:
            return None
        gains = losses - lower
        mean = gains.mean()
        sums = np.bincount(group, weights=gains - mean)
        error = np.sqrt(len(names) / (len(names) - 1) * np.sum(sums**2)) / len(gains)
        return cls(float(mean), float(error))

    @property
    def is_sure(self) -> bool:
        """Whether the mean is larger than its standard error."""
        return self.mean > self.standard_error
