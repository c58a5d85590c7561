"""Baselines: prevalence, and logistic regression on mean and standard deviation of the mel bands."""

import dataclasses
import io
from typing import Self

import numpy as np

from models.embedding.blocks import whole
from models.fitting.category_fitting import FittedHeads
from models.fitting.head_fitting import fit_heads
from models.fitting.labelled import LabelledRows, known_counts, tag_counts
from models.scoring.heads import Heads, Layout, score
from transforms.formats.npz import read_npz

BASELINES_FILE = "baselines.npz"
"""File of the baselines in a bundle."""

PREVALENCE, LOGISTIC = "prevalence", "logistic_mel_moments"


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Baselines:
    """Both fitted baselines: the prevalence of each tag, float64 [T], and linear heads on `mel_moments`."""

    shares: np.ndarray
    regression: Heads

    def scores(self, moments: np.ndarray, layout: Layout) -> dict[str, np.ndarray]:
        """Scores of each baseline by name: float32 [n, 2 mels] -> float64 [n, T]."""
        return {
            PREVALENCE: constant_scores(self.shares, len(moments)),
            LOGISTIC: score(moments, self.regression, layout),
        }

    def to_npz(self) -> bytes:
        """Both as an npz file, without pickle."""
        buffer = io.BytesIO()
        regression = {f.name: getattr(self.regression, f.name) for f in dataclasses.fields(Heads)}
        np.savez(buffer, shares=self.shares, **regression)
        return buffer.getvalue()

    @classmethod
    def from_npz(cls, data: bytes) -> Self:
        """The baselines that `to_npz` wrote."""
        return cls(shares=read_npz(data)["shares"].astype(np.float64), regression=Heads.from_npz(data))


def mel_moments(patches: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each mel band over a track's patches: [n, frames, mels] -> float32 [2 mels]."""
    values = patches.astype(np.float64)
    return np.concatenate([values.mean(axis=(0, 1)), values.std(axis=(0, 1))]).astype(np.float32)


def prevalence(train: LabelledRows, layout: Layout) -> np.ndarray:
    """Share of known training tracks that carry each tag, with one uniform pseudo-track added: float64 [T]."""
    even = np.full(layout.size, 0.5)
    for group in layout.groups:
        if group.kind == "multiclass":
            even[list(group.columns)] = 1 / len(group.columns)
    shares: np.ndarray = (tag_counts(train.targets, train.mask) + even) / (known_counts(train.mask) + 1)
    return shares


def constant_scores(values: np.ndarray, rows: int) -> np.ndarray:
    """The same scores for every track: float64 [rows, T], read-only."""
    return np.broadcast_to(values, (rows, len(values)))


def logistic_regression(train: LabelledRows, validation: LabelledRows, layout: Layout) -> FittedHeads:
    """Logistic regression on `mel_moments`, fitted in the same way as the published heads."""
    return fit_heads(train, validation, layout, whole(train.embeddings.shape[1]))
