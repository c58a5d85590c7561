"""How alike two tracks sound: the cosine of their embeddings, blended with that of their tags."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from transforms.schemas.embedding_parts import EmbeddingPart, PartKind

Float32s = npt.NDArray[np.float32]

SIMILARITY_VERSION = 2
"""Raised if and only if the same snapshot gets other vectors."""

KIND_WEIGHTS: Mapping[PartKind, float] = {"mean": 0.8, "deviation": 0.1, "statistics": 0.1}
"""Weight of the parts of a kind in the similarity of embeddings; those that an embedding lacks are shared out."""

CALIBRATED_WEIGHT, UNCALIBRATED_WEIGHT = 0.5, 0.1
"""Declared weight of the tags if all of them are calibrated on labels, and if none is."""

COMMON_SHARE = 0.5
"""How much of what all tracks have in common stays: the square of its length, as a share of the variance."""

_BLOCK = 256
"""Rows that are computed at once, padded: sums in matrix products depend on shapes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SimilaritySpec:
    """What similarity means. Vectors of different specs or embeddings are not comparable.

    Attributes:
      embedding_id: the embedding; of a snapshot with several, only tracks with this one have vectors.
      tag_weight: weight of the tags in the similarity, 0 to 1; the embedding has the rest.
      components: most principal components of the embedding that count.
      parts: of the embedding; empty if they are not known. Then all values are taken for statistics.
      version: of the method, see `SIMILARITY_VERSION`.
    """

    embedding_id: str
    tag_weight: float = CALIBRATED_WEIGHT
    components: int = 128
    parts: tuple[EmbeddingPart, ...] = ()
    version: int = SIMILARITY_VERSION

    def __post_init__(self) -> None:
        if not 0 <= self.tag_weight <= 1:
            raise ValueError(f"tag_weight={self.tag_weight}: it is a share, from 0 to 1")
        if self.components < 1:
            raise ValueError(f"components={self.components}: at least 1")
        if self.version != SIMILARITY_VERSION:
            raise ValueError(f"similarity version {self.version}: this program has version {SIMILARITY_VERSION}")

    def to_json(self) -> dict[str, Any]:
        """The spec as a JSON object."""
        return {**dataclasses.asdict(self), "parts": [dataclasses.asdict(part) for part in self.parts]}

    @classmethod
    def from_json(cls, obj: Mapping[str, Any]) -> Self:
        """The spec that `to_json` wrote.

        Raises:
          TypeError: a field is missing or unknown.
          ValueError: it is of another version, or a value is out of its range.
        """
        return cls(**{**obj, "parts": tuple(map(EmbeddingPart.from_json, obj.get("parts", ())))})

    def columns(self, size: int) -> dict[PartKind, npt.NDArray[np.int64]]:
        """The positions of the values of each kind, of an embedding with `size` values.

        Raises:
          ValueError: the parts are not those of such an embedding.
        """
        parts = self.parts or (EmbeddingPart(name="all", kind="statistics", start=0, stop=size),)
        found = {
            kind: np.concatenate([np.arange(part.start, part.stop) for part in parts if part.kind == kind])
            for kind in KIND_WEIGHTS
            if any(part.kind == kind for part in parts)
        }
        if not np.array_equal(np.sort(np.concatenate(list(found.values()))), np.arange(size)):
            raise ValueError(f"the parts of {self.embedding_id} are not those of an embedding with {size} values")
        return found


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """A vector space fitted to a snapshot: the dot product of two tracks' vectors is their similarity, -1 to 1.

    Means and deviations of a trunk are divided by the root of their total variance in a sample. Of what all tracks have
    in common, only a part is subtracted, see `COMMON_SHARE`: of a small or uniform catalog, the mean says what its
    music is like. Statistics, whose units differ, are standardised one by one. The values of each kind are scaled to
    unit length and to the root of the kind's weight, then projected on the principal components of the sample, and
    scaled to unit length. The square roots of the scores of the tags are centred in the same way, divided by the root
    of their category's total variance, so that each category has the same weight, and scaled to unit length. The vector
    has both parts, scaled by the roots of their weights, and its values are rounded to float16 precision, in which the
    search index stores them.

    Attributes:
      tags: the tags of the taxonomy, in the order of the columns of scores.
      mean, scale: of the embedding: what is subtracted, and the factor: float64 [d]; a constant value has scale 0.
      basis: principal components of the scaled embedding: float64 [d, at most `spec.components`].
      tag_mean, tag_scale: of the square roots of the scores: float64 [tags].
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
        """The space of a sample: float32 [n, d] and [n, tags], n > 0. The order of the rows matters to the last bit.

        Raises:
          ValueError: the parts of the spec are not those of these embeddings.
        """
        mean, scale = _centre_and_scale(spec, embeddings)
        tag_mean, tag_scale = _centre_and_scale_tags(np.sqrt(np.maximum(scores, 0), dtype=np.float64), categories)
        return cls(
            spec=spec,
            tags=tuple(tags),
            mean=mean,
            scale=scale,
            basis=_principal(_weighted((embeddings - mean) * scale, spec), spec.components),
            tag_mean=tag_mean,
            tag_scale=tag_scale,
        )

    @property
    def dimensions(self) -> int:
        """Values of a vector."""
        return int(self.basis.shape[1]) + (len(self.tags) if self._has_tags else 0)

    @property
    def _has_tags(self) -> bool:
        return self.spec.tag_weight > 0 and bool(self.tag_scale.any())

    def counted(self, scores: Float32s) -> Float32s:
        """Those of the scores that vectors depend on: all or none, float32 [n, tags] or [n, 0]."""
        return scores if self._has_tags else scores[:, :0]

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
        parts = [_unit(_weighted((embeddings - self.mean) * self.scale, self.spec) @ self.basis)]
        if self._has_tags:
            weight, roots = self.spec.tag_weight, np.sqrt(np.maximum(scores, 0), dtype=np.float64)
            parts = [math.sqrt(1 - weight) * parts[0]]
            parts.append(math.sqrt(weight) * _unit((roots - self.tag_mean) * self.tag_scale))
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


def shown_similarities(values: npt.ArrayLike) -> Float32s:
    """Similarities as they are published and answered: from -1 to 1, and the others as they are: float32.

    Vectors have the precision of float16, so that products of two can be slightly above 1. Tracks are put in order
    before this, so that equal values here change no order.
    """
    found: Float32s = np.clip(np.asarray(values, np.float32), -1, 1)
    return found


def shown_similarity(value: float) -> float:
    """One of `shown_similarities`."""
    return min(max(value, -1.0), 1.0)


def stored_similarities(vectors: npt.NDArray[np.float16], others: npt.NDArray[np.float16]) -> Float32s:
    """`similarities` of pairs of rows as an index stores them, to the bit and faster: float32 [n].

    A product of two float16 values has at most 22 digits, so float32 holds it exactly.

    Args:
      vectors, others: float16 [n, d].
    """
    products = vectors.astype(np.float32)
    products *= others.astype(np.float32)
    rounded: Float32s = np.round(products.astype(np.float64).sum(-1), 6).astype(np.float32)
    return rounded


def _centre_and_scale(
    spec: SimilaritySpec, embeddings: Float32s
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What is subtracted from the values of an embedding, and their factors: float64 [d] each."""
    mean, deviations = embeddings.mean(0, dtype=np.float64), embeddings.std(0, dtype=np.float64)
    scale = _inverse(deviations)
    spec.columns(len(mean))  # refuses parts of another embedding
    for part in spec.parts:
        own = slice(part.start, part.stop)
        if part.kind != "statistics":
            variance = float(np.square(deviations[own]).sum())
            mean[own] = _subtracted(mean[own], variance)
            scale[own] = _inverse(np.sqrt(np.array([variance])))
    return mean, scale


def _centre_and_scale_tags(
    roots: npt.NDArray[np.float64], categories: Sequence[str]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What is subtracted from the roots of scores, and their factors: float64 [tags] each."""
    mean, variances, names = roots.mean(0), roots.var(0), np.array(categories)
    scale = _inverse(np.sqrt([variances[names == name].sum() for name in categories]))
    return _subtracted(mean * scale, float((variances * np.square(scale)).sum())) * _inverse(scale), scale


def _subtracted(mean: npt.NDArray[np.float64], variance: float) -> npt.NDArray[np.float64]:
    """The part of a mean that is subtracted: the square of what is left is at most `COMMON_SHARE` of the variance."""
    length = float(np.square(mean).sum())
    kept = min(1.0, math.sqrt(COMMON_SHARE * variance / length)) if length > 0 else 0.0
    return (1 - kept) * mean


def _weighted(values: npt.NDArray[np.float64], spec: SimilaritySpec) -> npt.NDArray[np.float64]:
    """Scaled embeddings with the values of each kind at the length of the root of its weight: float64 [n, d]."""
    columns = spec.columns(values.shape[1])
    total = sum(KIND_WEIGHTS[kind] for kind in columns)
    found = np.zeros_like(values)
    for kind, own in columns.items():
        found[:, own] = math.sqrt(KIND_WEIGHTS[kind] / total) * _unit(values[:, own])
    return found


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
    """The first principal components: float64 [d, at most `most`], at least one. None has a variance of 0, except that
    of rows that are all equal.
    """
    with threadpool_limits(1, "blas"):
        values, components = np.linalg.eigh(standardised.T @ standardised / len(standardised))
    kept = [i for i in reversed(range(len(values))) if values[i] > 1e-9 * values[-1]][:most] or [len(values) - 1]
    return np.ascontiguousarray(components[:, kept])


def _inverse(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1 / value; 0 for values that are 0 but for rounding."""
    safe = np.where(values > 1e-7, values, 1)
    return np.where(values > 1e-7, 1 / safe, 0)


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rows of unit length; a row of zeros stays."""
    lengths = np.sqrt(np.square(rows).sum(-1, keepdims=True))
    return rows / np.where(lengths > 0, lengths, 1)
