"""Applies linear heads to track embeddings in float64. The bits do not depend on how rows are grouped."""

import dataclasses
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import numpy as np

from transforms.formats.hashing import digest
from transforms.formats.npz import read_npz
from transforms.taxonomy.categories import CategoryKind
from transforms.taxonomy.hierarchy import Taxonomy

SCORED_TOGETHER = 256
"""Rows per matrix product. Float sums depend on the shape, so shorter blocks are padded to this size."""

SLICE_ROWS = 16 * SCORED_TOGETHER
"""Rows whose float64 scores are in memory at once."""

SCORE_DECIMALS = 4
"""Decimals of published scores. Thresholds are compared with the rounded scores."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """The score columns of one category."""

    name: str
    kind: CategoryKind
    columns: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """How logits become scores: the columns of each category, and the hierarchy of tags.

    Attributes:
      groups: the categories in the order of the taxonomy.
      edges: (parent, child) columns. The edges to a tag's children come before the edges to its parents.
      size: number of tags.
    """

    groups: tuple[Group, ...]
    edges: tuple[tuple[int, int], ...]
    size: int


def layout_of(taxonomy: Taxonomy) -> Layout:
    """The layout of a taxonomy, with columns in the order of `taxonomy.tags`.

    Raises:
      ValueError: a binary category has more than two tags, or parents form a cycle.
    """
    column = {tag.id: index for index, tag in enumerate(taxonomy.tags)}
    groups = [
        Group(name=category.name, kind=category.kind, columns=tuple(column[tag.id] for tag in category.tags))
        for category in taxonomy.categories
    ]
    for group in groups:
        if group.kind == "binary" and len(group.columns) not in (1, 2):
            raise ValueError(f"binary category {group.name!r} has {len(group.columns)} tags: give it one or two")
    parents = {column[tag.id]: [column[parent] for parent in tag.parents] for tag in taxonomy.tags}
    return Layout(groups=tuple(groups), edges=tuple(_children_first(parents)), size=len(column))


def _children_first(parents: Mapping[int, Sequence[int]]) -> Iterator[tuple[int, int]]:
    """(parent, child) pairs, ordered by the parent's height, so that a tag is final before its parents use it."""
    height = dict.fromkeys(parents, 0)
    edges = [(parent, child) for child, found in parents.items() for parent in found]
    for _ in parents:
        raised = {parent: height[child] + 1 for parent, child in edges if height[parent] <= height[child]}
        if not raised:
            return iter(sorted(edges, key=lambda edge: (height[edge[0]], edge)))
        height.update(raised)
    raise ValueError("the parents of tags form a cycle: remove a parent")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Heads:
    """All heads, one column per tag, and their calibration. All arrays are float64.

    The calibrated logit of a tag is `slope * (((embedding - mean) / scale) @ weights + bias) + offset`. Slope 1 and
    offset 0 are the identity. Platt scaling fits slope and offset of each sigmoid. A temperature is one slope for all
    columns of a softmax.

    Attributes:
      mean: [D] mean of the training split's track embeddings.
      scale: [D] their standard deviation, or 1 if a value is constant.
      weights: [D, T].
      bias: [T].
      slope: [T], positive.
      offset: [T].
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    slope: np.ndarray
    offset: np.ndarray

    def __post_init__(self) -> None:
        dim, tags = self.weights.shape
        shapes = {"mean": dim, "scale": dim, "bias": tags, "slope": tags, "offset": tags}
        for name, size in shapes.items():
            if getattr(self, name).shape != (size,):
                found = getattr(self, name).shape
                raise ValueError(f"heads: {name} has shape {found}, but weights have {self.weights.shape}")
        if not (np.all(self.scale > 0) and np.all(self.slope > 0)):
            raise ValueError("heads: scale and slope must be positive")

    def to_npz(self) -> bytes:
        """The arrays as an npz file, without pickle."""
        buffer = io.BytesIO()
        np.savez(buffer, **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)})
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, data: bytes) -> Self:
        """The heads that `to_npz` wrote. Raises ValueError for other bytes."""
        arrays = read_npz(data)
        if missing := [f.name for f in dataclasses.fields(cls) if f.name not in arrays]:
            raise ValueError(f"heads: no array {missing[0]!r}")
        return cls(**{f.name: _finite(f.name, arrays[f.name]) for f in dataclasses.fields(cls)})

    @property
    def digest(self) -> str:
        """SHA-256 of all values."""
        arrays = [np.ascontiguousarray(getattr(self, f.name), "<f8") for f in dataclasses.fields(self)]
        return digest(*(part for array in arrays for part in (str(array.shape), array.tobytes())))


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise ValueError(f"heads: {name} holds other values than finite numbers")
    return values.astype(np.float64)


def raw_logits(embeddings: np.ndarray, heads: Heads, dtype: type[np.floating] = np.float64) -> np.ndarray:
    """Logits before calibration: [n, D] -> [n, T], computed in float64 and stored as `dtype`."""
    out = np.empty((len(embeddings), heads.weights.shape[1]), dtype)
    for start in range(0, len(embeddings), SCORED_TOGETHER):
        block = np.zeros((SCORED_TOGETHER, heads.weights.shape[0]))
        rows = embeddings[start : start + SCORED_TOGETHER]
        block[: len(rows)] = (rows.astype(np.float64) - heads.mean) / heads.scale
        out[start : start + len(rows)] = (block @ heads.weights)[: len(rows)] + heads.bias
    return out


def link(logits: np.ndarray, layout: Layout) -> np.ndarray:
    """Probabilities of logits: a sigmoid per tag, a softmax for multiclass, P and 1 - P for a binary pair."""
    scores = sigmoid(logits)
    for group in layout.groups:
        columns = list(group.columns)
        if group.kind == "multiclass":
            scores[:, columns] = softmax(logits[:, columns])
        elif group.kind == "binary" and len(columns) == 2:
            scores[:, columns[1]] = 1.0 - scores[:, columns[0]]
    return scores


def apply_hierarchy(scores: np.ndarray, layout: Layout) -> np.ndarray:
    """A copy of scores [n, T] in which each parent scores at least as high as its highest child."""
    scores = scores.copy()
    for parent, child in layout.edges:
        np.maximum(scores[:, parent], scores[:, child], out=scores[:, parent])
    return scores


def score(embeddings: np.ndarray, heads: Heads, layout: Layout, dtype: type[np.floating] = np.float64) -> np.ndarray:
    """Calibrated scores with parent >= child: [n, D] -> [n, T] in 0 to 1, computed in float64, stored as `dtype`."""
    out = np.empty((len(embeddings), layout.size), dtype)
    for rows in row_blocks(len(embeddings)):
        out[rows] = published(raw_logits(embeddings[rows], heads), heads, layout)
    return out


def published(logits: np.ndarray, heads: Heads, layout: Layout) -> np.ndarray:
    """Calibrated scores with parent >= child from logits before calibration: [n, T] of the same type."""
    out = np.empty_like(logits)
    for rows in row_blocks(len(logits)):
        out[rows] = apply_hierarchy(link(logits[rows] * heads.slope + heads.offset, layout), layout)
    return out


def row_blocks(count: int) -> Iterator[slice]:
    """Slices of at most `SLICE_ROWS` rows that together cover `count` rows."""
    return (slice(begin, begin + SLICE_ROWS) for begin in range(0, count, SLICE_ROWS))


def positives(scores: np.ndarray, thresholds: np.ndarray, layout: Layout) -> np.ndarray:
    """The tags that each track gets: bool [n, T].

    A tag is positive if its rounded score reaches the threshold. In a multiclass category exactly the highest is.
    """
    found = np.empty(scores.shape, bool)
    for rows in row_blocks(len(scores)):
        # Thresholds are float64 with SCORE_DECIMALS decimals. A float32 score could miss the threshold that it equals.
        rounded = np.round(np.asarray(scores[rows], np.float64), SCORE_DECIMALS)
        found[rows] = rounded >= thresholds
        for group in layout.groups:
            if group.kind == "multiclass":
                columns = np.array(group.columns)
                highest = columns[np.argmax(rounded[:, columns], axis=1)]
                found[rows, columns] = columns == highest[:, None]
    return found


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Logistic function without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def softmax(x: np.ndarray) -> np.ndarray:
    """Softmax over the last axis without overflow."""
    exp = np.exp(x - x.max(axis=-1, keepdims=True))
    shares: np.ndarray = exp / exp.sum(axis=-1, keepdims=True)
    return shares


def fitted_columns(group: Group) -> list[int]:
    """Columns with a fitted output. The second tag of a binary pair has none: it is 1 minus the first."""
    return list(group.columns[:1]) if group.kind == "binary" else list(group.columns)
