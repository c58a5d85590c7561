"""From patches to one track embedding: float64 moments, then float16 precision."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, Protocol, Self

import numpy as np

from models.blocks import Block

Statistics = Literal["none", "mel"]

CEPSTRA = 20
"""Cepstral coefficients among the fixed statistics."""

_FLOAT16_MAX = float(np.finfo(np.float16).max)


class TrunkFacts(Protocol):
    """What pooling asks of a trunk: `learned` says that it has seen the labels of the training split."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def patch_dim(self) -> int: ...  # noqa: D102

    @property
    def learned(self) -> bool: ...  # noqa: D102


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pooling:
    """What a track embedding is made of.

    Attributes:
      statistics: `mel` appends fixed statistics of the track's log-mel patches (see `mel_statistics`); `none` appends
        nothing.
    """

    statistics: Statistics = "mel"

    def __post_init__(self) -> None:
        if self.statistics not in ("none", "mel"):
            raise ValueError(f"statistics={self.statistics!r}: choose 'mel' or 'none'")

    def dim(self, patch_dim: int, n_mels: int) -> int:
        """Length of the track embedding."""
        return 2 * patch_dim + (3 * (n_mels + min(CEPSTRA, n_mels)) if self.statistics == "mel" else 0)

    def blocks(self, trunks: Sequence[TrunkFacts], n_mels: int) -> tuple[Block, ...]:
        """One block per trunk, whose patch embeddings are concatenated in this order, and one for the statistics."""
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
    """Fixed statistics of log-mel patches: [n, frames, mels] -> float32 [3 mels + 3 cepstra].

    Per mel band and per cepstral coefficient: mean, deviation, and deviation of the difference between frames. Computed
    without BLAS, whose sums depend on its number of threads.
    """
    # Imported here: readers of bundles need no Fourier transform.
    from scipy.fft import dct

    mels = np.ascontiguousarray(patches, np.float32)
    cepstra = dct(mels, axis=-1, norm="ortho")[..., :CEPSTRA]
    return np.concatenate([*_statistics(mels), *_statistics(cepstra)])


def _statistics(values: np.ndarray) -> list[np.ndarray]:
    """Mean, deviation, deviation of the difference between frames: [n, frames, k] -> three times [k]."""
    flat = values.reshape(-1, values.shape[2])
    mean = flat.mean(axis=0, dtype=np.float64).astype(np.float32)
    steps = (values[:, 1:] - values[:, :-1]).reshape(-1, values.shape[2])
    step_mean = steps.mean(axis=0) if len(steps) else np.zeros_like(mean)
    return [mean, _deviation(flat - mean), _deviation(steps - step_mean)]


def _deviation(centred: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("ij,ij->j", centred, centred) / max(len(centred), 1))


def pool(patch_embeddings: np.ndarray, patches: np.ndarray, pooling: Pooling) -> np.ndarray:
    """One track's embedding: float32 [D] holding values of float16 precision, cut off at float16's range."""
    parts = [moments(patch_embeddings)]
    if pooling.statistics == "mel":
        parts.append(mel_statistics(patches))
    pooled = np.clip(np.concatenate(parts), -_FLOAT16_MAX, _FLOAT16_MAX)
    return pooled.astype(np.float16).astype(np.float32)
