"""What turns embeddings into tags, as the table side sees it: scores, positives and where they come from."""

from typing import Protocol

import numpy as np
import pyarrow as pa

from transforms.table.snapshots import Ids
from transforms.taxonomy.hierarchy import Taxonomy


class Tagger(Protocol):
    """Heads, calibration and hierarchy of a bundle. Results of a row never depend on the other rows."""

    taxonomy: Taxonomy
    feature_id: str
    embedding_id: str
    tagger_id: str

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
