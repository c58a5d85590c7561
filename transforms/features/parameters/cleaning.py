"""Samples that any arithmetic can take."""

import numpy as np
import numpy.typing as npt

FULL_SCALE_LIMIT = 1e6


def finite(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The samples as float32 within 120 dB above full scale; values that are not finite count as 0.

    One sum of squares tells whether anything has to be done.
    """
    values = samples.astype(np.float32, copy=False)
    flat = np.ascontiguousarray(values).reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(np.dot(flat, flat))
    if total < FULL_SCALE_LIMIT**2:
        return values
    clean = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(clean, -FULL_SCALE_LIMIT, FULL_SCALE_LIMIT).astype(np.float32)
