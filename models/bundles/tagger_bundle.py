"""The model bundle: one folder with everything that tagging needs. It is read and checked without TensorFlow."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from models.bundles.trunk_bundle import (
    BUNDLE_FILE,
    BundleError,
    Embedding,
    TrunkBundle,
    check_id,
    read_checked,
    trunks_from_manifest,
)
from models.scoring import heads as heads_
from models.scoring.heads import Heads, Layout, layout_of
from transforms import storage
from transforms.formats.hashing import short_id
from transforms.formats.record_types import check_types
from transforms.formats.sealing import naming
from transforms.schemas.tables import TAXONOMY
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.rules import RULE_THRESHOLD

HEADS = "heads.npz"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TagFacts:
    """What is known about one tag's score.

    Attributes:
      tag: its id.
      threshold: score from which on the tag is positive; not used in a multiclass category.
      threshold_rule: `best_f1` or `precision` on held-out tracks; `precision_out_of_reach` if no threshold has the
        requested precision, so that the most precise one was taken; `default` if there are too few held-out tracks;
        `highest` for multiclass; `complement` for the second tag of a binary pair.
      calibration: `identity`, `platt` or `temperature`.
      support: number of training tracks that carry the tag.
      validation_support: number of held-out tracks that carry the tag and on which threshold and calibration were
        fitted. These are validation tracks and, if the head is cross-validated, also training tracks.
      metrics: split -> metric -> value; null if undefined.
    """

    tag: str
    threshold: float
    threshold_rule: str = "default"
    calibration: str = "identity"
    support: int = 0
    validation_support: int = 0
    metrics: Mapping[str, Mapping[str, float | None]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Tagging:
    """How track embeddings become tags.

    Attributes:
      taxonomy: the tags, their categories and their hierarchy.
      heads: one column per tag, in the order of `taxonomy.tags`.
      tags: threshold and facts of each tag, in the same order.
    """

    taxonomy: Taxonomy
    heads: Heads
    tags: tuple[TagFacts, ...]

    @property
    def thresholds(self) -> np.ndarray:
        """Threshold of each tag: float64 [T]."""
        return np.array([facts.threshold for facts in self.tags], np.float64)

    def tagger_id_of(self, embedding: Embedding) -> str:
        """Hash of the embedding, heads, calibration, thresholds and taxonomy."""
        thresholds = self.thresholds.astype("<f8").tobytes()
        return short_id("tg", embedding.embedding_id, self.heads.digest, thresholds, self.taxonomy.taxonomy_id)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Bundle(TrunkBundle, Tagging):
    """A checked bundle: trunks that make embeddings, and heads that make tags."""

    @property
    def tagger_id(self) -> str:
        """Hash of the embedding, heads, calibration, thresholds and taxonomy."""
        return self.tagger_id_of(self)

    @property
    def licences(self) -> tuple[str, ...]:
        """Licences of the trunks, as `name: licence`, as far as they are stated. A licence is its first line."""
        stated = ((trunk.name, trunk.licence.partition("\n")[0].strip()) for trunk in self.trunks)
        return tuple(f"{name}: {licence}" for name, licence in stated if licence)

    @property
    def layout(self) -> Layout:
        """Categories and hierarchy of the tags."""
        return layout_of(self.taxonomy)

    def score(self, embeddings: np.ndarray) -> np.ndarray:
        """Calibrated scores, parent >= child: float32 [n, D] -> float64 [n, T]. Rows are independent of each other."""
        return heads_.score(embeddings, self.heads, self.layout)

    def positives(self, scores: np.ndarray) -> np.ndarray:
        """The tags that each track gets: bool [n, T]."""
        return heads_.positives(scores, self.thresholds, self.layout)

    def taxonomy_rows(self) -> pa.Table:
        """The snapshot's `taxonomy` table."""
        kinds = {
            tag.id: (category.name, category.kind) for category in self.taxonomy.categories for tag in category.tags
        }
        rows = [
            {
                "tag": tag.id,
                "category": kinds[tag.id][0],
                "kind": kinds[tag.id][1],
                "name": tag.name,
                "parents": list(tag.parents),
                "threshold": None if kinds[tag.id][1] == "multiclass" else facts.threshold,
                "calibration": json.dumps(self._calibration(index), sort_keys=True),
                "support": facts.support,
                "metrics": json.dumps(facts.metrics, sort_keys=True),
                "other_ids": list(self.taxonomy.other_ids[tag.id]),
            }
            for index, (tag, facts) in enumerate(zip(self.taxonomy.tags, self.tags, strict=True))
        ]
        return taxonomy_table([*rows, *self._rule_rows()], with_rules=bool(self.taxonomy.rules))

    def _rule_rows(self) -> list[dict[str, Any]]:
        """The rows of tags of rules, of which there is nothing to train."""
        return [
            {
                "tag": tag.id,
                "category": category.name,
                "kind": category.kind,
                "name": tag.name,
                "parents": list(tag.parents),
                "threshold": RULE_THRESHOLD,
                "other_ids": list(self.taxonomy.other_ids[tag.id]),
                "rule": self.taxonomy.rule_texts[tag.id],
            }
            for category in self.taxonomy.rules
            for tag in category.tags
        ]

    def _calibration(self, index: int) -> dict[str, Any]:
        facts = self.tags[index]
        values = {"slope": float(self.heads.slope[index]), "offset": float(self.heads.offset[index])}
        return {"kind": facts.calibration, "support": facts.validation_support, "rule": facts.threshold_rule, **values}


def taxonomy_table(rows: list[dict[str, Any]], *, with_rules: bool) -> pa.Table:
    """Rows of the table `taxonomy`. Without rules it has no column for them, as in tables of earlier versions."""
    table = pa.Table.from_pylist(rows, schema=TAXONOMY)
    return table if with_rules else table.drop_columns("rule")


def load_bundle(url: str) -> Bundle:
    """Reads and checks a bundle: SHA-256 of every file, and every id. Needs no TensorFlow.

    Raises:
      BundleError: there is no bundle; or it is unfinished, was changed, was made by another version of extractor or
        schema, or has no tags.
    """
    manifest, contents = read_checked(url)
    trunks = trunks_from_manifest(url, manifest)
    if HEADS not in contents:
        raise BundleError(
            f"{url} holds a trunk without tags: run `catalog-tagger train --trunk {url}` to fit heads on it"
        )
    with naming(storage.join(url, HEADS), "the heads of a bundle", BundleError):
        heads = Heads.from_npz(contents[HEADS])
    with naming(storage.join(url, BUNDLE_FILE), "a bundle's manifest", BundleError):
        bundle = Bundle(
            url=url,
            spec=trunks.spec,
            pooling=trunks.pooling,
            trunks=trunks.trunks,
            files=trunks.files,
            taxonomy=Taxonomy.from_json(manifest["taxonomy"]),
            heads=heads,
            tags=tuple(TagFacts(**facts) for facts in manifest["tags"]),
        )
        check_types(bundle)
        ids = {name: manifest[name] for name in ("taxonomy_id", "tagger_id")}
    _check(bundle, ids)
    return bundle


def _check(bundle: Bundle, ids: Mapping[str, str]) -> None:
    for name, found in (("taxonomy_id", bundle.taxonomy.taxonomy_id), ("tagger_id", bundle.tagger_id)):
        check_id(bundle.url, name, ids, found)
    if [facts.tag for facts in bundle.tags] != [tag.id for tag in bundle.taxonomy.tags]:
        raise BundleError(f"{bundle.url}: {BUNDLE_FILE} was changed: its tags differ from its taxonomy")
    if bundle.heads.weights.shape != (bundle.embedding_dim, len(bundle.tags)):
        raise BundleError(
            f"{bundle.url}: heads have shape {bundle.heads.weights.shape}, but embeddings have {bundle.embedding_dim} "
            f"values and there are {len(bundle.tags)} tags"
        )
