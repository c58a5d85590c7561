"""Windows of spectra."""

import functools

import numpy as np

from transforms.audio.samples import Float32


@functools.lru_cache(maxsize=16)
def hann(size: int) -> Float32:
    """A periodic Hann window, float32 [size]. Its two halves add up to one."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
