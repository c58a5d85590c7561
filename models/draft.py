"""A bundle before it is written: the last step of both `build` and `refit`."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from models.bundles import split_record as split_file
from models.bundles.model_card import model_card
from models.bundles.tagger_bundle import Bundle, Tagging
from models.bundles.trunk_bundle import Embedding
from models.bundles.writing import write_bundle
from models.fitting import baselines
from models.fitting.tagger import FittedTagger
from transforms.formats.hashing import json_bytes
from transforms.taxonomy.hierarchy import Taxonomy


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class BundleDraft:
    """A fitted tagger and everything that its bundle records.

    Attributes:
      embedding: trunks, feature spec and pooling.
      trunk_files: the trunks' files, by name.
      taxonomy: the tags.
      tagger: heads fitted on these embeddings, with their metrics.
      history: how trunks were trained, as JSON values.
      splits: (track_id, group) of the tracks on each side; the side `none` has the excluded tracks.
      learned: the tracks that trunks were trained on earlier.
      input_statistics: `mean` and `std` of each mel band over the training split; None without patches.
    """

    embedding: Embedding
    trunk_files: Mapping[str, bytes]
    taxonomy: Taxonomy
    tagger: FittedTagger
    history: Mapping[str, Any]
    splits: Mapping[str, Iterable[tuple[str, str]]]
    learned: Iterable[split_file.SplitRow]
    input_statistics: Mapping[str, list[float]] | None = None

    def write(self, url: str) -> Bundle:
        """Writes the bundle create-only, its manifest last, and reads it back.

        Raises:
          BundleError: the folder is not empty.
        """
        tagger = self.tagger
        tagging = Tagging(taxonomy=self.taxonomy, heads=tagger.heads, tags=tagger.tags)
        files = {
            **self.trunk_files,
            **({baselines.BASELINES_FILE: tagger.baselines.to_npz()} if tagger.baselines else {}),
            "metrics.json": json_bytes(tagger.metrics),
            "history.json": json_bytes(self.history),
            "MODEL_CARD.md": model_card(self.embedding, tagging, tagger.metrics).encode(),
            split_file.SPLIT_FILE: split_file.to_bytes(self.splits, self.learned),
        }
        return write_bundle(url, self.embedding, tagging, files, self.input_statistics)
