"""From patches to one track embedding: moments in float64, then rounding to float16."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, Protocol, Self

import numpy as np

from models.embedding.blocks import Block
from models.embedding.statistics import LATEST, STATISTICS_BY_VERSION, dimension
from transforms.features.spec import Compression

Statistics = Literal["none", "mel"]

MOMENTS: tuple[Literal["mean"], Literal["deviation"]] = ("mean", "deviation")
"""What `moments` computes of each value of the patch embeddings, in this order."""

_FLOAT16_MAX = float(np.finfo(np.float16).max)


class TrunkFacts(Protocol):
    """The properties of a trunk that pooling needs; see `models.bundles.trunk_bundle.TrunkFile`."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def patch_dim(self) -> int: ...  # noqa: D102

    @property
    def learned(self) -> bool: ...  # noqa: D102


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pooling:
    """How patch embeddings become a track embedding.

    Attributes:
      statistics: `mel` appends hand-crafted statistics of the track's log-mel patches (`models.embedding.statistics`);
        `none` appends nothing.
      version: version of these statistics.
    """

    statistics: Statistics = "mel"
    version: int = LATEST

    def __post_init__(self) -> None:
        if self.statistics not in ("none", "mel"):
            raise ValueError(f"statistics={self.statistics!r}: choose 'mel' or 'none'")
        if self.version not in STATISTICS_BY_VERSION:
            raise ValueError(
                f"statistics of version {self.version}: this version supports {sorted(STATISTICS_BY_VERSION)}"
            )

    def dim(self, patch_dim: int, n_mels: int) -> int:
        """Length of the track embedding."""
        return 2 * patch_dim + (dimension(self.version, n_mels) if self.statistics == "mel" else 0)

    def blocks(self, trunks: Sequence[TrunkFacts], n_mels: int) -> tuple[Block, ...]:
        """One block per trunk, in the order in which patch embeddings are concatenated, and one for the statistics."""
        patch_dim = sum(trunk.patch_dim for trunk in trunks)
        found, start = [], 0
        for trunk in trunks:
            stop = start + trunk.patch_dim
            spans = ((start, stop), (patch_dim + start, patch_dim + stop))
            found.append(Block(name=trunk.name, spans=spans, learned=trunk.learned))
            start = stop
        if self.statistics != "none":
            found.append(Block(name="statistics", spans=((2 * patch_dim, self.dim(patch_dim, n_mels)),)))
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """The pooling as a JSON object."""
        # Bundles with version 1 have no version field, and this JSON is part of the hash `embedding_id`.
        version = {"statistics_version": self.version} if self.statistics == "mel" and self.version > 1 else {}
        return {"moments": ["mean", "std"], "statistics": self.statistics, **version}

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The pooling that `to_json` wrote."""
        if obj.get("moments") != ["mean", "std"]:
            raise ValueError(f"pooling moments {obj.get('moments')!r}: this version supports only ['mean', 'std']")
        version = obj.get("statistics_version", 1) if obj["statistics"] == "mel" else LATEST
        return cls(statistics=obj["statistics"], version=version)


def moments(values: np.ndarray) -> np.ndarray:
    """Mean and standard deviation over the first axis: [n, D] -> float64 [2 D]."""
    values = np.ascontiguousarray(values, np.float64)
    return np.concatenate([values.mean(axis=0), values.std(axis=0)])


def pool(patch_embeddings: np.ndarray, patches: np.ndarray, pooling: Pooling, compression: Compression) -> np.ndarray:
    """The embedding of one track: float32 [D], values clipped to the range of float16 and rounded to its precision."""
    parts = [moments(patch_embeddings)]
    if pooling.statistics == "mel":
        parts.append(STATISTICS_BY_VERSION[pooling.version](patches, compression))
    pooled = np.clip(np.concatenate(parts), -_FLOAT16_MAX, _FLOAT16_MAX)
    found: np.ndarray = pooled.astype(np.float16).astype(np.float32)
    return found
