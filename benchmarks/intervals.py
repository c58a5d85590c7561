"""Bootstrap intervals of means, for the tables of `docs/quality.md`."""

import numpy as np

RESAMPLES = 2_000


def mean_interval(values: np.ndarray, groups: np.ndarray | None = None) -> str:
    """Mean of values, or of paired differences, with 95 % of the means of resamples: `0.123 (0.101 to 0.145)`.

    Args:
      values: float64 [n].
      groups: group of each value [n]: whole groups are resampled; by default each value by itself.
    """
    low, high = np.quantile(resampled_means(values, groups), [0.025, 0.975])
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


def resampled_means(values: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Means of `RESAMPLES` bootstrap resamples: float64 [RESAMPLES]. The same groups give the same resamples."""
    codes = np.arange(len(values)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums, counts = np.bincount(codes, values), np.bincount(codes)
    drawn = np.random.default_rng(0).integers(len(sums), size=(RESAMPLES, len(sums)))
    found: np.ndarray = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return found
