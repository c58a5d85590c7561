"""Writes a model bundle: create-only, its manifest last."""

import dataclasses
import hashlib
from collections.abc import Mapping
from importlib.metadata import version

import numpy as np

from models.bundle import (
    HEADS,
    MANIFEST,
    SCHEMA_VERSION,
    Bundle,
    BundleError,
    TagFacts,
    TrunkFile,
    embedding_id,
    load_bundle,
    tagger_id,
)
from models.heads import Heads
from models.pooling import Pooling
from transforms.records import storage
from transforms.records.hashing import json_bytes
from transforms.records.taxonomy import Taxonomy
from transforms.signal.spec import FeatureSpec


def write_bundle(
    url: str,
    *,
    spec: FeatureSpec,
    taxonomy: Taxonomy,
    pooling: Pooling,
    trunk: TrunkFile,
    heads: Heads,
    tags: tuple[TagFacts, ...],
    input_statistics: Mapping[str, list[float]],
    files: Mapping[str, bytes],
) -> Bundle:
    """Writes a bundle create-only, its manifest last, and reads it back.

    Args:
      url: folder that holds no bundle yet, local or gs://.
      files: further files by name, the trunk's among them.
      input_statistics: per-mel `mean` and `std` that the trunk normalises its input by.
    """
    check_output(url)
    files = {**files, HEADS: heads.to_npz()}
    thresholds = np.array([facts.threshold for facts in tags], np.float64)
    embedding = embedding_id(spec, trunk, pooling)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "created_by": f"catalog-tagger {version('catalog-tagger')}",
        "feature_id": spec.feature_id,
        "embedding_id": embedding,
        "tagger_id": tagger_id(embedding, heads, thresholds, taxonomy),
        "taxonomy_id": taxonomy.taxonomy_id,
        "feature_spec": spec.to_json(),
        "pooling": pooling.to_json(),
        "trunk": dataclasses.asdict(trunk),
        "input_statistics": dict(input_statistics),
        "tags": [dataclasses.asdict(facts) for facts in tags],
        "taxonomy": taxonomy.to_json(),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }
    for name, data in sorted(files.items()):
        storage.create(storage.join(url, name), data)
    storage.create(storage.join(url, MANIFEST), json_bytes(manifest))
    return load_bundle(url)


def check_output(url: str) -> None:
    """Raises BundleError where a new bundle cannot be written to this folder."""
    if storage.exists(storage.join(url, MANIFEST)):
        raise BundleError(f"{url} holds a bundle already: bundles are never overwritten, choose another folder")
    if found := next(iter(storage.list_folder(url)), None):
        raise BundleError(
            f"{url} is not empty and holds no {MANIFEST} (found {found.url}): remove what an interrupted run left, "
            "or choose another folder"
        )
