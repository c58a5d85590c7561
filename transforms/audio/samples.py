"""The array types of decoded audio."""

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
"""Samples, or values computed from them."""
