"""How alike two tracks sound: the cosine of their embeddings, blended with that of their calibrated tags."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

Float32s = npt.NDArray[np.float32]

SIMILARITY_VERSION = 1
"""Raised if and only if the same snapshot gets other vectors."""

_BLOCK = 256
"""Rows that are computed at once, padded: sums in matrix products depend on shapes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimilaritySpec:
    """What similarity means. Vectors of different specs or embeddings are not comparable.

    Attributes:
      embedding_id: the embedding; of a snapshot with several, only tracks with this one have vectors.
      tag_weight: weight of the tags in the similarity, 0 to 1; the embedding has the rest.
      components: most principal components of the embedding that count.
      version: of the method, see `SIMILARITY_VERSION`.
    """

    embedding_id: str
    tag_weight: float = 0.5
    components: int = 128
    version: int = SIMILARITY_VERSION

    def __post_init__(self) -> None:
        if not 0 <= self.tag_weight <= 1:
            raise ValueError(f"tag_weight={self.tag_weight}: it is a share, from 0 to 1")
        if self.components < 1:
            raise ValueError(f"components={self.components}: at least 1")
        if self.version != SIMILARITY_VERSION:
            raise ValueError(f"similarity version {self.version}: this program has version {SIMILARITY_VERSION}")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """A vector space fitted to a snapshot: the dot product of two tracks' vectors is their similarity, -1 to 1.

    The embedding is standardised by the mean and deviation of a sample, projected on the principal components of the
    sample, and scaled to unit length. The scores of the tags are centred, divided by the root of their category's total
    variance, so that each category has the same weight, and scaled to unit length. The vector has both parts, scaled by
    the roots of their weights, and its values are rounded to float16 precision, in which the search index stores them.

    Attributes:
      tags: the tags of the taxonomy, in the order of the columns of scores.
      mean, scale: of the embedding: float64 [d]; a constant value has scale 0.
      basis: principal components of the standardised embedding: float64 [d, at most `spec.components`].
      tag_mean, tag_scale: of the scores: float64 [tags].
    """

    spec: SimilaritySpec
    tags: tuple[str, ...]
    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    basis: npt.NDArray[np.float64]
    tag_mean: npt.NDArray[np.float64]
    tag_scale: npt.NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        spec: SimilaritySpec,
        embeddings: Float32s,
        scores: Float32s,
        tags: Sequence[str],
        categories: Sequence[str],
    ) -> "Space":
        """The space of a sample: float32 [n, d] and [n, tags], n > 0. The order of the rows matters to the last bit."""
        variances = scores.var(0, dtype=np.float64)
        names = np.array(categories)
        totals = np.array([variances[names == name].sum() for name in categories])
        mean, scale = embeddings.mean(0, dtype=np.float64), _inverse(embeddings.std(0, dtype=np.float64))
        return cls(
            spec=spec,
            tags=tuple(tags),
            mean=mean,
            scale=scale,
            basis=_principal((embeddings - mean) * scale, spec.components),
            tag_mean=scores.mean(0, dtype=np.float64),
            tag_scale=_inverse(np.sqrt(totals)),
        )

    @property
    def dimensions(self) -> int:
        """Values of a vector."""
        return int(self.basis.shape[1]) + (len(self.tags) if self._has_tags else 0)

    @property
    def _has_tags(self) -> bool:
        return self.spec.tag_weight > 0 and bool(self.tag_scale.any())

    def vectors(self, embeddings: Float32s, scores: Float32s) -> Float32s:
        """Vectors of unit length, each independent of the other rows: float32 [n, dimensions].

        Args:
          embeddings: float32 [n, d].
          scores: calibrated scores, 0 to 1, in the order of `tags`: float32 [n, tags].
        """
        found = np.zeros((len(embeddings), self.dimensions), np.float32)
        for start in range(0, len(found), _BLOCK):
            rows = slice(start, start + _BLOCK)
            size = len(found[rows])
            padding = ((0, _BLOCK - size), (0, 0))
            found[rows] = self._block(np.pad(embeddings[rows], padding), np.pad(scores[rows], padding))[:size]
        return found

    def _block(self, embeddings: Float32s, scores: Float32s) -> Float32s:
        parts = [_unit((embeddings - self.mean) * self.scale @ self.basis)]
        if self._has_tags:
            weight = self.spec.tag_weight
            parts = [math.sqrt(1 - weight) * parts[0]]
            parts.append(math.sqrt(weight) * _unit((scores - self.tag_mean) * self.tag_scale))
        return _unit(np.hstack(parts)).astype(np.float16).astype(np.float32)


def similarities(vectors: Float32s, others: Float32s) -> Float32s:
    """Dot products of rows, independent of the number of rows and rounded to 1e-6: float32 [n].

    Args:
      vectors: float32 [n, d], or [d] to compare all others with one vector.
      others: float32 [n, d].
    """
    products = np.multiply(vectors, others, dtype=np.float64)
    rounded: Float32s = np.round(products.sum(-1), 6).astype(np.float32)
    return rounded


def on_grid(vectors: npt.NDArray[np.floating]) -> Float32s:
    """Vectors of unit length as whole numbers, whose products are exact in any order of the sums: float32 [n, d].

    A dot product of two rows is a whole number of at most 2**24, and so is each part of its sum. So float32 holds all
    of them exactly, and a matrix product has the same bits for any shape, number of threads and processor. It differs
    from `grid_length(d) ** 2` times the similarity by less than 0.002 of that.

    Args:
      vectors: of unit length, up to the rounding of float16: [n, d].
    """
    found: Float32s = np.rint(np.asarray(vectors, np.float32) * np.float32(grid_length(vectors.shape[-1])))
    return found


def grid_length(dimensions: int) -> int:
    """Length of the vectors of `on_grid`, before they are rounded: with rounding it is at most 4096.

    >>> grid_length(256)
    4084
    """
    return 4092 - math.ceil(math.sqrt(dimensions) / 2)


def _principal(standardised: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.float64]:
    """The first principal components: float64 [d, at most `most`]; none of them has a variance of 0."""
    with threadpool_limits(1, "blas"):
        values, components = np.linalg.eigh(standardised.T @ standardised / len(standardised))
    kept = [i for i in reversed(range(len(values))) if values[i] > 1e-9 * values[-1]][:most]
    return np.ascontiguousarray(components[:, kept])


def _inverse(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1 / value; 0 for values that are 0 but for rounding."""
    safe = np.where(values > 1e-7, values, 1)
    return np.where(values > 1e-7, 1 / safe, 0)


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rows of unit length; a row of zeros stays."""
    lengths = np.sqrt(np.square(rows).sum(-1, keepdims=True))
    return rows / np.where(lengths > 0, lengths, 1)
