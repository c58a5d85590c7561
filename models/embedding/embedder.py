"""From patches to track embeddings: trunks run on batches of one fixed shape, then pooling."""

import concurrent.futures
import functools
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from models.embedding.pooling import Pooling, pool
from transforms.features.spec import FeatureSpec
from transforms.telemetry.cpu import counted_here

BATCH = 32
"""Patches per batch of a trunk that states no batch. Float results depend on the shape, so batches are padded."""


class Trunk(Protocol):
    """Maps a batch of patches to patch embeddings. It can be called from several threads at once."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """float32 [n, frames, mels] -> float32 [n, patch_dim]; n is always the trunk's batch."""
        ...


class LoadedTrunk(NamedTuple):
    """A trunk, the length of its patch embeddings, and its batch."""

    run: Trunk
    patch_dim: int
    batch: int = BATCH


class TrackEmbedder:
    """Embeds tracks with one or more trunks. Equal patches give equal bits, whatever tracks share their batch.

    Args:
      trunks: their values are concatenated in this order.
      spec: feature spec of the patches.
      pooling: how patch embeddings become a track embedding.
      parallel: batches that are computed at the same time, in all threads that call `embed` together.
    """

    def __init__(
        self, trunks: Sequence[LoadedTrunk], spec: FeatureSpec, pooling: Pooling, *, parallel: int = 1
    ) -> None:
        self._trunks = tuple(trunks)
        self._patch_shape = spec.patch_shape
        self._compression = spec.compression
        self._pooling = pooling
        self._threads = concurrent.futures.ThreadPoolExecutor(parallel, thread_name_prefix="embed")

    @property
    def dim(self) -> int:
        """Length of a track embedding."""
        return self._pooling.dim(sum(trunk.patch_dim for trunk in self._trunks), self._patch_shape[1])

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
        out = np.empty((len(patches), sum(trunk.patch_dim for trunk in self._trunks)), np.float32)
        stop = 0
        waiting = []
        for trunk in self._trunks:
            columns = out[:, stop : stop + trunk.patch_dim]
            stop += trunk.patch_dim
            run = counted_here(functools.partial(self._run, trunk, patches, columns))
            waiting += [self._threads.submit(run, start) for start in range(0, len(patches), trunk.batch)]
        for done in waiting:
            done.result()
        return out

    def _run(self, trunk: LoadedTrunk, patches: np.ndarray, out: np.ndarray, start: int) -> None:
        """Writes the embeddings of the batch that begins at `start`."""
        rows = patches[start : start + trunk.batch]
        batch = np.zeros((trunk.batch, *self._patch_shape), np.float32)
        batch[: len(rows)] = rows
        out[start : start + len(rows)] = trunk.run(batch)[: len(rows)]
