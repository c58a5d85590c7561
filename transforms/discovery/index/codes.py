"""Codes of one bit a dimension, from which the similarity of a query and a track is estimated.

The method is RaBitQ (Gao and Long, SIGMOD 2024): the difference of a vector and its cell's centre is rotated at
random, and the signs of its values are kept. With one number a track, the dot product of a query and the signs becomes
an unbiased estimate of the dot product with the vector. Its error falls with the root of the dimensions; the best
candidates are compared exactly.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.discovery.similarity import Float32s

CodeWords = npt.NDArray[np.uint64]

_BITS = 64
_PLANES = 6
"""Bits of each value of a rotated query."""

_SEED = 20

_ROWS = 256
"""Vectors that are encoded at once, padded: sums in matrix products depend on shapes."""


def rotation(dimensions: int) -> Float32s:
    """A fixed random rotation: float32 [dimensions, dimensions rounded up to a multiple of 64]."""
    width = -(-dimensions // _BITS) * _BITS
    normal = np.random.default_rng(_SEED).normal(size=(width, width))
    return np.linalg.qr(normal)[0][:dimensions].astype(np.float32)


def encode(vectors: Float32s, centres: Float32s, turn: Float32s) -> tuple[CodeWords, Float32s]:
    """Codes uint64 [n, words] and factors float32 [n] of vectors whose cells have these centres: float32 [n, d].

    Each row is independent of the others.
    """
    codes = np.zeros((len(vectors), turn.shape[1] // _BITS), np.uint64)
    factors = np.zeros(len(vectors), np.float32)
    turning = turn.astype(np.float64)
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        own = vectors[rows].astype(np.float64) - centres[rows]
        turned = (np.pad(own, ((0, _ROWS - len(own)), (0, 0))) @ turning)[: len(own)]
        squares, sums = np.square(turned).sum(1), np.abs(turned).sum(1)
        factors[rows] = np.divide(squares, sums, out=np.zeros(len(own)), where=sums > 0)
        codes[rows] = np.packbits(turned > 0, axis=1, bitorder="little").view(np.uint64)
    return codes, factors


class CodedQuery(NamedTuple):
    """A rotated query in bit planes: its values are about `low + step * planes`."""

    planes: CodeWords
    low: float
    step: float
    total: float

    @classmethod
    def of(cls, query: Float32s, turn: Float32s) -> "CodedQuery":
        """The query in the form in which `estimates` uses it."""
        turned = query @ turn
        low, high = float(turned.min()), float(turned.max())
        step = (high - low) / (2**_PLANES - 1) or 1.0
        levels = np.rint((turned - low) / step).astype(np.uint8)
        planes = np.packbits((levels >> np.arange(_PLANES, dtype=np.uint8)[:, None]) & 1, axis=1, bitorder="little")
        return cls(np.ascontiguousarray(planes).view(np.uint64), low, step, float(turned.sum()))

    def estimates(self, codes: CodeWords, factors: Float32s) -> Float32s:
        """Estimated dot products of the query and the vectors less their centres: float32 [n].

        Args:
          codes: uint64 [words, n].
          factors: float32 [n].
        """
        count = np.zeros(codes.shape[1], np.uint16)
        weighted = np.zeros(codes.shape[1], np.float32)
        for word in codes:
            count += np.bitwise_count(word)
        for number, plane in enumerate(self.planes):
            ones = np.zeros(codes.shape[1], np.uint16)
            for word, mask in zip(codes, plane, strict=True):
                ones += np.bitwise_count(word & mask)
            weighted += ones * np.float32(2**number)
        positive = self.low * count + self.step * weighted
        found: Float32s = (factors * (2 * positive - self.total)).astype(np.float32, copy=False)
        return found
