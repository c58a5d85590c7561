"""Track embeddings from patches: trunks in batches of one fixed shape, then pooling."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from models.embedding.pooling import Pooling, pool
from transforms.features.spec import FeatureSpec

BATCH = 32
"""Patches that go through a trunk at once. Float results depend on shapes, so every batch has this one, padded."""


class Trunk(Protocol):
    """Maps a batch of patches to patch embeddings."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """float32 [BATCH, frames, mels] -> float32 [BATCH, patch_dim]."""
        ...


class TrackEmbedder:
    """Embeds tracks with some trunks; equal patches give equal bits whatever tracks they are embedded together with.

    Args:
      trunks: each with the length of its patch embedding; their values are joined in this order.
      spec: of the patches.
      pooling: what a track embedding is made of.
    """

    def __init__(self, trunks: Sequence[tuple[Trunk, int]], spec: FeatureSpec, pooling: Pooling) -> None:
        self._trunks = tuple(trunks)
        self._patch_shape = spec.patch_shape
        self._compression = spec.compression
        self._pooling = pooling

    @property
    def dim(self) -> int:
        """Length of a track embedding."""
        return self._pooling.dim(sum(dim for _, dim in self._trunks), self._patch_shape[1])

    @property
    def mels(self) -> int:
        """Mel bands of a patch."""
        return self._patch_shape[1]

    def embed(self, patches: Sequence[np.ndarray]) -> np.ndarray:
        """Embeds tracks: float16 [n_i, frames, mels] each, n_i >= 1 -> float32 [tracks, D] of float16 precision."""
        for track in patches:
            if track.shape[1:] != self._patch_shape or not len(track):
                raise ValueError(f"patches of shape {track.shape}: need [n, {self._patch_shape}] with n >= 1")
        if not patches:
            return np.zeros((0, self.dim), np.float32)
        embedded = self.embed_patches(np.concatenate(patches))
        tracks = np.split(embedded, np.cumsum([len(track) for track in patches])[:-1])
        return np.stack([pool(e, p, self._pooling, self._compression) for e, p in zip(tracks, patches, strict=True)])

    def embed_patches(self, patches: np.ndarray) -> np.ndarray:
        """Patch embeddings, trunk beside trunk: [n, frames, mels] -> float32 [n, sum of their lengths]."""
        out = np.empty((len(patches), sum(dim for _, dim in self._trunks)), np.float32)
        for start in range(0, len(patches), BATCH):
            rows = patches[start : start + BATCH]
            batch = np.zeros((BATCH, *self._patch_shape), np.float32)
            batch[: len(rows)] = rows
            stop = 0
            for trunk, dim in self._trunks:
                out[start : start + len(rows), stop : stop + dim] = trunk(batch)[: len(rows)]
                stop += dim
        return out
