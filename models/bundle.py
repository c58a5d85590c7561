"""The model bundle: one directory with all that tagging needs. Read without TensorFlow, checked before it is used."""

import contextlib
import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from models import heads as heads_
from models.heads import Heads, Layout, layout_of
from models.pooling import Pooling
from transforms.records import storage
from transforms.records.hashing import json_bytes, short_id
from transforms.records.schemas import TAXONOMY
from transforms.records.taxonomy import Taxonomy
from transforms.signal.spec import FeatureSpec

SCHEMA_VERSION = 1
MANIFEST = "bundle.json"
HEADS = "heads.npz"


class BundleError(ValueError):
    """A bundle that must not be used: unfinished, changed since it was written, or made for other features."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrunkFile:
    """The trunk of a bundle.

    Attributes:
      name: its name in the registry, e.g. `compact`.
      format: how it is loaded: `keras`, or `projection` for the numpy one.
      file: its file in the bundle.
      digest: SHA-256 of the weights; equal trunks have equal digests whenever they were saved.
      patch_dim: length of a patch embedding.
      learned: it has seen the labels of the training split.
    """

    name: str
    format: str
    file: str
    digest: str
    patch_dim: int
    learned: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class TagFacts:
    """What is known about one tag's score.

    Attributes:
      tag: its id.
      threshold: score from which on it is positive; plays no part in a multiclass category.
      threshold_rule: `best_f1` on the validation split, `default` where support was too small, `highest` for
        multiclass, `complement` for the second tag of a binary pair.
      calibration: `identity`, `platt` or `temperature`.
      support: labelled training tracks that carry the tag.
      validation_support: labelled validation tracks that carry it: what threshold and calibration rest on.
      metrics: split -> metric -> value (null where undefined).
    """

    tag: str
    threshold: float
    threshold_rule: str = "default"
    calibration: str = "identity"
    support: int = 0
    validation_support: int = 0
    metrics: Mapping[str, Mapping[str, float | None]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """A checked bundle: what its manifest says, and its heads."""

    url: str
    spec: FeatureSpec
    taxonomy: Taxonomy
    pooling: Pooling
    trunk: TrunkFile
    heads: Heads
    tags: tuple[TagFacts, ...]
    files: Mapping[str, str]

    @property
    def feature_id(self) -> str:
        """Hash of the feature spec and of the extractor's version."""
        return self.spec.feature_id

    @property
    def embedding_id(self) -> str:
        """Hash of feature spec, trunk and pooling."""
        return embedding_id(self.spec, self.trunk, self.pooling)

    @property
    def tagger_id(self) -> str:
        """Hash of the embedding, heads, calibration, thresholds and taxonomy."""
        return tagger_id(self.embedding_id, self.heads, self.thresholds, self.taxonomy)

    @property
    def embedding_dim(self) -> int:
        """Length of a track embedding."""
        return self.pooling.dim(self.trunk.patch_dim, self.spec.n_mels)

    @property
    def thresholds(self) -> np.ndarray:
        """Threshold per tag: float64 [T]."""
        return np.array([facts.threshold for facts in self.tags], np.float64)

    @property
    def layout(self) -> Layout:
        """How the tags form categories and hierarchy."""
        return layout_of(self.taxonomy)

    def check_feature_id(self, feature_id: str) -> None:
        """Raises BundleError unless these features are the ones that the bundle was trained on."""
        if feature_id != self.feature_id:
            raise BundleError(
                f"{self.url} was trained on features {self.feature_id}, not {feature_id}: "
                "prepare with the bundle's feature spec, or train on these features"
            )

    def score(self, embeddings: np.ndarray) -> np.ndarray:
        """Calibrated scores, parent >= child: float32 [n, D] -> float64 [n, T]; rows do not affect each other."""
        return heads_.score(embeddings, self.heads, self.layout)

    def positives(self, scores: np.ndarray) -> np.ndarray:
        """Which tags each track gets: bool [n, T]."""
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
            }
            for index, (tag, facts) in enumerate(zip(self.taxonomy.tags, self.tags, strict=True))
        ]
        return pa.Table.from_pylist(rows, schema=TAXONOMY)

    def _calibration(self, index: int) -> dict[str, Any]:
        facts = self.tags[index]
        values = {"slope": float(self.heads.slope[index]), "offset": float(self.heads.offset[index])}
        return {"kind": facts.calibration, "support": facts.validation_support, "rule": facts.threshold_rule, **values}


def embedding_id(spec: FeatureSpec, trunk: TrunkFile, pooling: Pooling) -> str:
    """Hash of feature spec, trunk and pooling."""
    return short_id("em", spec.feature_id, trunk.name, trunk.digest, json_bytes(pooling.to_json()))


def tagger_id(embedding: str, heads: Heads, thresholds: np.ndarray, taxonomy: Taxonomy) -> str:
    """Hash of the embedding, heads, calibration, thresholds and taxonomy."""
    return short_id("tg", embedding, heads.digest, thresholds.astype("<f8").tobytes(), taxonomy.taxonomy_id)


def load_bundle(url: str) -> Bundle:
    """Reads and checks a bundle: SHA-256 of every file, and every id. Needs no TensorFlow.

    Raises:
      BundleError: no bundle there, unfinished, changed, or made by another version of extractor or schema.
    """
    manifest = _read_manifest(url)
    contents = {name: _read_checked(url, name, sha256) for name, sha256 in manifest["files"].items()}
    bundle = Bundle(
        url=url,
        spec=FeatureSpec.from_json(manifest["feature_spec"]),
        taxonomy=Taxonomy.from_json(manifest["taxonomy"]),
        pooling=Pooling.from_json(manifest["pooling"]),
        trunk=TrunkFile(**manifest["trunk"]),
        heads=Heads.from_npz(contents[HEADS]),
        tags=tuple(TagFacts(**facts) for facts in manifest["tags"]),
        files=manifest["files"],
    )
    _check_ids(bundle, manifest)
    return bundle


@contextlib.contextmanager
def local_copy(url: str, bundle: Bundle) -> Iterator[Path]:
    """A local folder with the bundle's files: the bundle's own where it is local, a temporary copy otherwise."""
    if "://" not in url:
        yield Path(url)
        return
    with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
        for name, sha256 in bundle.files.items():
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_read_checked(url, name, sha256))
        yield Path(folder)


def _read_manifest(url: str) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads(storage.read_bytes(storage.join(url, MANIFEST)))
    except storage.NotFound as error:
        raise BundleError(f"{url} holds no {MANIFEST}: not a bundle, or its training was interrupted") from error
    except json.JSONDecodeError as error:
        raise BundleError(f"{url}/{MANIFEST} is no JSON: {error}") from error
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise BundleError(
            f"{url}: bundle schema {manifest.get('schema_version')}, this version reads {SCHEMA_VERSION}: train again"
        )
    return manifest


def _read_checked(url: str, name: str, sha256: str) -> bytes:
    try:
        data = storage.read_bytes(storage.join(url, name))
    except storage.NotFound as error:
        raise BundleError(f"{url}: {name} is missing") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise BundleError(f"{url}: {name} was changed: SHA-256 {found}, its manifest says {sha256}")
    return data


def _check_ids(bundle: Bundle, manifest: Mapping[str, Any]) -> None:
    if bundle.feature_id != manifest["feature_id"]:
        raise BundleError(
            f"{bundle.url} was trained on features {manifest['feature_id']}; this version's extractor makes "
            f"{bundle.feature_id} of the same spec: train again"
        )
    ids = {"taxonomy_id": bundle.taxonomy.taxonomy_id, "embedding_id": bundle.embedding_id}
    for name, found in {**ids, "tagger_id": bundle.tagger_id}.items():
        if manifest[name] != found:
            raise BundleError(f"{bundle.url}: {MANIFEST} was changed: its {name} is {manifest[name]}, found {found}")
    if [facts.tag for facts in bundle.tags] != [tag.id for tag in bundle.taxonomy.tags]:
        raise BundleError(f"{bundle.url}: {MANIFEST} was changed: its tags are not those of its taxonomy")
    if bundle.heads.weights.shape != (bundle.embedding_dim, len(bundle.tags)):
        raise BundleError(
            f"{bundle.url}: heads of shape {bundle.heads.weights.shape} for embeddings of {bundle.embedding_dim} "
            f"values and {len(bundle.tags)} tags"
        )
