"""Bootstrap over artists: how much a metric would vary with other artists in the sample."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

LEVEL = 0.95
"""Confidence level of the intervals."""

MIN_GROUPS = 5
"""Fewest artists for an interval. With fewer, the bootstrap is unreliable."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Resamples:
    """How often each group is in the sample and in each resample. A resample draws as many groups with replacement.

    Tracks of an artist resemble each other, so resampling tracks would make intervals too narrow.

    Attributes:
      group: group of each row, int [n].
      weights: float64 [groups, 1 + resamples]. The first column is the sample: all 1.
    """

    group: np.ndarray
    weights: np.ndarray

    @classmethod
    def draw(cls, groups: Sequence[str], count: int, seed: int) -> Self:
        """Seeded resamples of the distinct groups. The order of rows does not matter."""
        names, group = np.unique(np.asarray(groups, np.str_), return_inverse=True)
        rng, shares = np.random.default_rng(seed), np.full(len(names), 1 / max(len(names), 1))
        weights = np.ones((len(names), 1 + count))
        for resample in range(1, 1 + count):
            weights[:, resample] = rng.multinomial(len(names), shares)
        return cls(group=group, weights=weights)

    def of(self, rows: np.ndarray) -> Self:
        """The same resamples of some rows, given as bool [n] or as row numbers, which may repeat."""
        return dataclasses.replace(self, group=self.group[rows])

    def sums(self, values: np.ndarray, place: np.ndarray, places: int) -> np.ndarray:
        """Weighted sums of the values with the same place: float [n], int [n] -> float64 [places, 1 + resamples]."""
        matrix = _sparse(values, place, self.group, (places, len(self.weights)))
        return np.asarray(matrix @ self.weights)

    def column_sums(self, values: np.ndarray) -> np.ndarray:
        """Weighted sums of each column over the rows: [n, k] -> float64 [k, 1 + resamples]."""
        rows = np.arange(len(self.group))
        matrix = _sparse(np.ones(len(rows)), self.group, rows, (len(self.weights), len(rows)))
        return np.asarray((matrix @ values.astype(np.float64)).T @ self.weights)

    def distinct(self, rows: np.ndarray) -> int:
        """Number of groups of the selected rows, bool [n]."""
        return len(np.unique(self.group[rows]))


def _sparse(values: np.ndarray, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> Any:
    # A local import: importing scipy's sparse matrices takes time, and `tag` does not need them.
    from scipy.sparse import csr_array

    return csr_array((values, (rows, columns)), shape=shape)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """The value of a metric in the sample and its percentile interval; None if undefined."""

    value: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, float | None]:
        """The estimate as a JSON object."""
        return dataclasses.asdict(self)


def estimate(samples: np.ndarray, groups: int, *, centred: bool = False) -> Estimate:
    """The estimate of a metric. There is no interval with fewer than `MIN_GROUPS` groups.

    Args:
      samples: values in the sample and its resamples, float [1 + resamples]; NaN if undefined.
      groups: number of groups that the interval is based on.
      centred: shift the interval so that the median of the resamples equals the value. Calibration error needs this:
        repeated rows increase it, so that nearly all resamples are above the sample.
    """
    value, drawn = samples[0], samples[1:][~np.isnan(samples[1:])]
    if np.isnan(value):
        return Estimate(value=None, low=None, high=None)
    if groups < MIN_GROUPS or not len(drawn):
        return Estimate(value=float(value), low=None, high=None)
    low, middle, high = np.quantile(drawn, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
    if centred:
        low, high = max(low + value - middle, 0.0), high + value - middle
    return Estimate(value=float(value), low=float(low), high=float(high))
