"""The interface of a tagger, which turns embeddings into tags: scores, positives and ids."""

from typing import Protocol

import numpy as np
import pyarrow as pa

from transforms.schemas.embedding_parts import EmbeddingPart
from transforms.table.snapshots import Ids
from transforms.taxonomy.hierarchy import Taxonomy


class Tagger(Protocol):
    """Heads, calibration and taxonomy of a bundle. The results of a row do not depend on the other rows."""

    @property
    def taxonomy(self) -> Taxonomy:
        """The tags that it scores."""
        ...

    @property
    def feature_id(self) -> str:
        """Hash of the feature spec and of the extractor's version."""
        ...

    @property
    def embedding_id(self) -> str:
        """Hash of feature spec, trunk and pooling."""
        ...

    @property
    def tagger_id(self) -> str:
        """Hash of the embedding, heads, calibration, thresholds and taxonomy."""
        ...

    @property
    def licences(self) -> tuple[str, ...]:
        """Licences of the networks, as `name: licence`, as far as they are stated."""
        ...

    @property
    def embedding_parts(self) -> tuple[EmbeddingPart, ...]:
        """Where the values of an embedding come from, in their order."""
        ...

    @property
    def trunk_ids(self) -> tuple[str, ...]:
        """Hashes of feature spec and weights of the trunks, in the order of their parts of an embedding."""
        ...

    def score(self, embeddings: np.ndarray) -> np.ndarray:
        """Track embeddings float32 [tracks, dim] -> calibrated scores float64 [tracks, tags], 0 to 1."""
        ...

    def positives(self, scores: np.ndarray) -> np.ndarray:
        """Scores [tracks, tags] -> bool [tracks, tags], whether the tag is positive."""
        ...

    def taxonomy_rows(self) -> pa.Table:
        """Rows of the `taxonomy` table."""
        ...


def ids_of(tagger: Tagger) -> Ids:
    """The ids that are recorded with rows computed by this tagger."""
    return Ids(
        feature_id=tagger.feature_id,
        embedding_id=tagger.embedding_id,
        tagger_id=tagger.tagger_id,
        taxonomy_id=tagger.taxonomy.taxonomy_id,
    )
