"""What turns embeddings into tags, as the table side sees it: scores, positives and where they come from."""

from typing import Protocol

import numpy as np
import pyarrow as pa

from transforms.table.snapshots import Ids
from transforms.taxonomy.hierarchy import Taxonomy


class Tagger(Protocol):
    """Heads, calibration and hierarchy of a bundle. Results of a row never depend on the other rows."""

    @property
    def taxonomy(self) -> Taxonomy:
        """The tags that it scores."""
        ...

    @property
    def feature_id(self) -> str:
        """Hash of the features that its embeddings are made of."""
        ...

    @property
    def embedding_id(self) -> str:
        """Hash of what makes its embeddings."""
        ...

    @property
    def tagger_id(self) -> str:
        """Hash of the embedding, heads, calibration, thresholds and taxonomy."""
        ...

    def score(self, embeddings: np.ndarray) -> np.ndarray:
        """Track embeddings float32 [tracks, dim] -> calibrated scores float64 [tracks, tags], 0 to 1."""
        ...

    def positives(self, scores: np.ndarray) -> np.ndarray:
        """Scores [tracks, tags] -> bool [tracks, tags]."""
        ...

    def taxonomy_rows(self) -> pa.Table:
        """Rows of the `taxonomy` table."""
        ...


def ids_of(tagger: Tagger) -> Ids:
    """The ids that every row made with this tagger carries."""
    return Ids(
        feature_id=tagger.feature_id,
        embedding_id=tagger.embedding_id,
        tagger_id=tagger.tagger_id,
        taxonomy_id=tagger.taxonomy.taxonomy_id,
    )
