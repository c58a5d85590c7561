"""Named blocks of a track embedding: the positions of their values, and whether they depend on the labels."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Block:
    """Values of a track embedding that come from one source.

    Attributes:
      name: the trunk's name, or `statistics`.
      spans: (start, stop) positions in the track embedding.
      learned: whether a trunk that was trained on labelled tracks made the values, so that they may depend on the
        labels of the training split.
    """

    name: str
    spans: tuple[tuple[int, int], ...]
    learned: bool = False

    @property
    def columns(self) -> np.ndarray:
        """Positions in the track embedding: int64 [size]."""
        return np.concatenate([np.arange(start, stop) for start, stop in self.spans])

    @property
    def size(self) -> int:
        """Number of values."""
        return sum(stop - start for start, stop in self.spans)


def columns_of(blocks: Iterable[Block]) -> np.ndarray:
    """Positions of the values of these blocks, ascending: int64 [sum of sizes]."""
    return np.sort(np.concatenate([np.zeros(0, np.int64), *(block.columns for block in blocks)]))


def whole(dim: int, *, name: str = "statistics", learned: bool = False) -> tuple[Block, ...]:
    """One block with all `dim` values of an embedding."""
    return (Block(name=name, spans=((0, dim),), learned=learned),)


def check_blocks(blocks: Sequence[Block], dim: int) -> None:
    """Raises ValueError unless each of the `dim` positions is in exactly one block."""
    if not np.array_equal(columns_of(blocks), np.arange(dim)):
        spans = {block.name: block.spans for block in blocks}
        raise ValueError(f"blocks {spans} do not cover an embedding of {dim} values exactly once")
