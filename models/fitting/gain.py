"""How much one model is better than another on the same tracks, and how sure that is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Gain(NamedTuple):
    """How much one model lowers the mean loss of another on the same tracks."""

    mean: float
    standard_error: float

    @classmethod
    def of(cls, losses: np.ndarray, lower: np.ndarray, groups: Sequence[str | int]) -> "Gain | None":
        """Of the losses of tracks under either model, [n] each; None where they are of fewer than two groups.

        Tracks of an artist resemble each other: the standard error counts groups (`groups` names each track's), not
        tracks.
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
        """Whether it is more than its standard error."""
        return self.mean > self.standard_error
