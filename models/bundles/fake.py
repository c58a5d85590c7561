"""A complete tagger without TensorFlow, for tests and for trying out a pipeline. Its trunk is a fixed projection."""

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from models.bundles.tagger_bundle import Bundle, TagFacts, Tagging
from models.bundles.trunk_bundle import Embedding, TrunkFile
from models.bundles.writing import write_bundle
from models.embedding.embedder import BATCH
from models.embedding.pooling import Pooling
from models.scoring.heads import Heads
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import digest
from transforms.formats.npz import read_npz
from transforms.taxonomy.hierarchy import Taxonomy

_TRUNK_FILE = "trunk.npz"


@dataclasses.dataclass(frozen=True, eq=False)
class Projection:
    """A trunk that multiplies the mean over the frames by a fixed matrix, float32 [mels, patch_dim]."""

    matrix: np.ndarray

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """float32 [n, frames, mels] -> float32 [n, patch_dim]."""
        found: np.ndarray = (batch.mean(axis=1) @ self.matrix).astype(np.float32)
        return found

    def to_npz(self) -> bytes:
        """The matrix as an npz file, without pickle."""
        buffer = io.BytesIO()
        np.savez(buffer, matrix=self.matrix)
        return buffer.getvalue()

    @classmethod
    def load(cls, path: Path) -> Self:
        """The trunk that `to_npz` wrote."""
        return cls(read_npz(path.read_bytes())["matrix"].astype(np.float32))


def write_fake_bundle(
    url: str,
    taxonomy: Taxonomy,
    spec: FeatureSpec,
    *,
    seed: int = 0,
    head_seed: int = 0,
    patch_dim: int = 8,
    thresholds: Sequence[float] | None = None,
    batch: int = BATCH,
) -> Bundle:
    """Writes a bundle with random trunk and heads. The same arguments give the same ids and scores.

    Args:
      seed: seed of the trunk. Another seed changes `embedding_id` and `tagger_id`.
      head_seed: seed of the heads. Another seed changes only `tagger_id`.
      thresholds: one per tag; default 0.5.
      batch: batch of the trunk. Another batch changes `embedding_id` and `tagger_id`.
    """
    pooling = Pooling(statistics="none")
    # Log-mels are some tens of dB. The scale brings embeddings and logits to about 1.
    matrix = (
        np.random.default_rng(seed).normal(0, 0.02 * spec.n_mels**-0.5, (spec.n_mels, patch_dim)).astype(np.float32)
    )
    heads = _fake_heads(pooling.dim(patch_dim, spec.n_mels), len(taxonomy.tags), head_seed)
    values = thresholds if thresholds is not None else [0.5] * len(taxonomy.tags)
    facts = (TagFacts(tag=tag.id, threshold=value) for tag, value in zip(taxonomy.tags, values, strict=True))
    trunk = TrunkFile(
        name="fake",
        digest=digest(str(matrix.shape), matrix.astype("<f4").tobytes()),
        patch_dim=patch_dim,
        files={"projection": _TRUNK_FILE},
        learned=False,
        batch=batch,
    )
    return write_bundle(
        url,
        Embedding(spec=spec, pooling=pooling, trunks=(trunk,)),
        Tagging(taxonomy=taxonomy, heads=heads, tags=tuple(facts)),
        {_TRUNK_FILE: Projection(matrix).to_npz(), "MODEL_CARD.md": b"# A fixed random projection\n"},
    )


def _fake_heads(dim: int, tags: int, seed: int) -> Heads:
    rng = np.random.default_rng(seed)
    return Heads(
        mean=np.zeros(dim),
        scale=np.ones(dim),
        weights=rng.normal(0, dim**-0.5, (dim, tags)),
        bias=rng.normal(0, 0.5, tags),
        slope=np.ones(tags),
        offset=np.zeros(tags),
    )
