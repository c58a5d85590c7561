"""From patches to one track embedding: float64 moments, then float16 precision."""

import dataclasses
from typing import Any, Literal, Self

import numpy as np

Statistics = Literal["none", "mel"]

_FLOAT16_MAX = float(np.finfo(np.float16).max)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pooling:
    """What a track embedding is made of.

    Attributes:
      statistics: `mel` appends fixed statistics of the track's log-mel patches: mean, deviation and deviation of the
        frame-to-frame difference per band. `none` appends nothing.
    """

    statistics: Statistics = "mel"

    def __post_init__(self) -> None:
        if self.statistics not in ("none", "mel"):
            raise ValueError(f"statistics={self.statistics!r}: choose 'mel' or 'none'")

    def dim(self, patch_dim: int, n_mels: int) -> int:
        """Length of the track embedding."""
        return 2 * patch_dim + (3 * n_mels if self.statistics == "mel" else 0)

    def to_json(self) -> dict[str, Any]:
        """The pooling as a JSON object."""
        return {"moments": ["mean", "std"], "statistics": self.statistics}

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The pooling that `to_json` wrote."""
        if obj.get("moments") != ["mean", "std"]:
            raise ValueError(f"pooling moments {obj.get('moments')!r}: this version knows ['mean', 'std'] only")
        return cls(statistics=obj["statistics"])


def moments(values: np.ndarray) -> np.ndarray:
    """Mean and standard deviation over the first axis: [n, D] -> float64 [2 D]."""
    values = np.ascontiguousarray(values, np.float64)
    return np.concatenate([values.mean(axis=0), values.std(axis=0)])


def mel_statistics(patches: np.ndarray) -> np.ndarray:
    """Mean, deviation and deviation of the frame difference per mel band: [n, frames, mels] -> float64 [3 mels]."""
    patches = np.ascontiguousarray(patches, np.float64)
    deltas = np.diff(patches, axis=1)
    parts = [patches.mean(axis=(0, 1)), patches.std(axis=(0, 1)), deltas.std(axis=(0, 1)) if deltas.size else None]
    return np.concatenate([np.zeros(patches.shape[2]) if part is None else part for part in parts])


def pool(patch_embeddings: np.ndarray, patches: np.ndarray, pooling: Pooling) -> np.ndarray:
    """One track's embedding: float32 [D] holding values of float16 precision, cut off at float16's range."""
    parts = [moments(patch_embeddings)]
    if pooling.statistics == "mel":
        parts.append(mel_statistics(patches))
    pooled = np.clip(np.concatenate(parts), -_FLOAT16_MAX, _FLOAT16_MAX)
    return pooled.astype(np.float16).astype(np.float32)
