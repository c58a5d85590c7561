"""From patches to track embeddings: trunks run on batches of one fixed shape, then pooling."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from models.embedding.pooling import Pooling, pool
from transforms.features.spec import FeatureSpec

BATCH = 32
"""Patches per batch of a trunk. Float results depend on the shape, so shorter batches are padded to this size."""


class Trunk(Protocol):
    """Maps a batch of patches to patch embeddings."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """float32 [BATCH, frames, mels] -> float32 [BATCH, patch_dim]."""
        ...


class TrackEmbedder:
    """Embeds tracks with one or more trunks. Equal patches give equal bits, whatever tracks share their batch.

    Args:
      trunks: each with the length of its patch embedding. Their values are concatenated in this order.
      spec: feature spec of the patches.
      pooling: how patch embeddings become a track embedding.
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
        """Number of mel bands of a patch."""
        return self._patch_shape[1]

    def embed(self, patches: Sequence[np.ndarray]) -> np.ndarray:
        """Embeds tracks: float16 [n_i, frames, mels] each, n_i >= 1 -> float32 [tracks, D] of float16 precision.

        Raises:
          ValueError: the patches of a track have another shape, or it has none.
        """
        for track in patches:
            if track.shape[1:] != self._patch_shape or not len(track):
                frames, mels = self._patch_shape
                raise ValueError(f"patches of shape {track.shape}: give [n, {frames}, {mels}] with n >= 1")
        if not patches:
            return np.zeros((0, self.dim), np.float32)
        embedded = self.embed_patches(np.concatenate(patches))
        tracks = np.split(embedded, np.cumsum([len(track) for track in patches])[:-1])
        return np.stack([pool(e, p, self._pooling, self._compression) for e, p in zip(tracks, patches, strict=True)])

    def embed_patches(self, patches: np.ndarray) -> np.ndarray:
        """Patch embeddings of all trunks, concatenated: [n, frames, mels] -> float32 [n, sum of their lengths]."""
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
