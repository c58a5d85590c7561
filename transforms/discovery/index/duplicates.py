"""Near-duplicates: tracks that are probably the same recording, in another codec or cut a little differently."""

import numpy as np
import numpy.typing as npt

from transforms.discovery.similarity import Float32s

LEAST_SIMILARITY = 0.98
"""Lowest similarity of two near-duplicates. `docs/quality.md` has the figures that it was chosen by."""

MOST_SECONDS, MOST_SHARE = 0.5, 0.01
"""Largest difference of their durations: seconds, or a share of the longer one if that is more."""


def near_duplicates(similarities: Float32s, durations: Float32s, others: Float32s) -> npt.NDArray[np.bool_]:
    """Whether pairs are near-duplicates; a pair with an unknown duration (NaN) is none. Arguments are broadcast."""
    limit = np.maximum(MOST_SECONDS, MOST_SHARE * np.maximum(durations, others))
    with np.errstate(invalid="ignore"):
        found: npt.NDArray[np.bool_] = (similarities >= LEAST_SIMILARITY) & (np.abs(durations - others) <= limit)
    return found
