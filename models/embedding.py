"""Track embeddings from patches: the bundle's trunk in batches of one fixed shape, then pooling."""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from models import bundle as bundles
from models.pooling import Pooling, pool

BATCH = 32
"""Patches that go through a trunk at once. Float results depend on shapes, so every batch has this one, padded."""

_log = logging.getLogger(__name__)


class Trunk(Protocol):
    """Maps a batch of patches to patch embeddings."""

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """float32 [BATCH, frames, mels] -> float32 [BATCH, patch_dim]."""
        ...


class TrackEmbedder:
    """Embeds tracks with one trunk; equal patches give equal bits whatever tracks they are embedded together with."""

    def __init__(self, trunk: Trunk, patch_dim: int, patch_shape: tuple[int, int], pooling: Pooling) -> None:
        self._trunk = trunk
        self._patch_dim = patch_dim
        self._patch_shape = patch_shape
        self._pooling = pooling

    @property
    def dim(self) -> int:
        """Length of a track embedding."""
        return self._pooling.dim(self._patch_dim, self._patch_shape[1])

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
        return np.stack([pool(e, p, self._pooling) for e, p in zip(tracks, patches, strict=True)])

    def embed_patches(self, patches: np.ndarray) -> np.ndarray:
        """Patch embeddings: [n, frames, mels] -> float32 [n, patch_dim], in padded batches of `BATCH`."""
        out = np.empty((len(patches), self._patch_dim), np.float32)
        for start in range(0, len(patches), BATCH):
            rows = patches[start : start + BATCH]
            batch = np.zeros((BATCH, *self._patch_shape), np.float32)
            batch[: len(rows)] = rows
            out[start : start + len(rows)] = self._trunk(batch)[: len(rows)]
        return out


def load_embedder(bundle_url: str, *, threads: int | None = 1) -> TrackEmbedder:
    """The embedder of a bundle; every file is checked first.

    Args:
      bundle_url: folder of the bundle, local or gs://.
      threads: TensorFlow threads for each of its two pools; None leaves TensorFlow's own choice.

    Raises:
      BundleError: a file is missing or changed, or the trunk's format is unknown.
    """
    bundle = bundles.load_bundle(bundle_url)
    if bundle.trunk.format not in LOADERS:
        raise bundles.BundleError(f"{bundle_url}: trunk format {bundle.trunk.format!r}: known are {sorted(LOADERS)}")
    with bundles.local_copy(bundle_url, bundle) as folder:
        trunk = LOADERS[bundle.trunk.format](folder, bundle, threads)
    return TrackEmbedder(trunk, bundle.trunk.patch_dim, bundle.spec.patch_shape, bundle.pooling)


def _load_keras(folder: Path, bundle: bundles.Bundle, threads: int | None) -> Trunk:
    # TensorFlow reads this once, when it is imported: remarks on the processor are not for those who tag.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from models import keras_trunk

    keras_trunk.limit_threads(threads)
    return keras_trunk.load(folder / bundle.trunk.file, bundle.trunk)


def _load_projection(folder: Path, bundle: bundles.Bundle, threads: int | None) -> Trunk:
    from models import fake

    return fake.Projection.load(folder / bundle.trunk.file)


LOADERS: dict[str, Callable[[Path, bundles.Bundle, int | None], Trunk]] = {
    "keras": _load_keras,
    "projection": _load_projection,
}
"""Trunk format -> loader."""
