"""Writes a model bundle: create-only, its manifest last."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from models.bundles.tagger_bundle import HEADS, Bundle, TagFacts, load_bundle, tagger_id
from models.bundles.trunk_bundle import (
    BUNDLE_FILE,
    BUNDLE_VERSION,
    BundleError,
    TrunkBundle,
    TrunkFile,
    embedding_id,
    load_trunks,
)
from models.embedding.pooling import Pooling
from models.scoring.heads import Heads
from transforms import storage
from transforms.features.spec import FeatureSpec
from transforms.formats.hashing import json_bytes
from transforms.taxonomy.hierarchy import Taxonomy

_UNFINISHED = "bundle.unfinished"
"""Names of the files of a bundle that is being written: the only ones that may be removed after a kill."""


def write_bundle(
    url: str,
    *,
    spec: FeatureSpec,
    taxonomy: Taxonomy,
    pooling: Pooling,
    trunks: tuple[TrunkFile, ...],
    heads: Heads,
    tags: tuple[TagFacts, ...],
    files: Mapping[str, bytes],
    input_statistics: Mapping[str, list[float]] | None = None,
) -> Bundle:
    """Writes a bundle create-only, its manifest last, and reads it back.

    Args:
      url: folder that holds no bundle yet, local or gs://.
      files: further files by name, the trunks' among them.
      input_statistics: per-mel `mean` and `std` of the training split.
    """
    thresholds = np.array([facts.threshold for facts in tags], np.float64)
    tagging = {
        "tagger_id": tagger_id(embedding_id(spec, trunks, pooling), heads, thresholds, taxonomy),
        "taxonomy_id": taxonomy.taxonomy_id,
        "input_statistics": dict(input_statistics or {}),
        "tags": [dataclasses.asdict(facts) for facts in tags],
        "taxonomy": taxonomy.to_json(),
    }
    _write(url, {**_embedding(spec, pooling, trunks), **tagging}, {**files, HEADS: heads.to_npz()})
    return load_bundle(url)


def write_trunk_bundle(
    url: str, *, spec: FeatureSpec, pooling: Pooling, trunks: tuple[TrunkFile, ...], files: Mapping[str, bytes]
) -> TrunkBundle:
    """Writes a bundle without tags: trunks to train heads on, as `write_bundle` does."""
    _write(url, _embedding(spec, pooling, trunks), files)
    return load_trunks(url)


def _embedding(spec: FeatureSpec, pooling: Pooling, trunks: tuple[TrunkFile, ...]) -> dict[str, Any]:
    """The part of the manifest that `load_trunks` reads."""
    return {
        "feature_id": spec.feature_id,
        "embedding_id": embedding_id(spec, trunks, pooling),
        "feature_spec": spec.to_json(),
        "pooling": pooling.to_json(),
        "trunks": [dataclasses.asdict(trunk) for trunk in trunks],
    }


def _write(url: str, fields: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    check_output(url)
    manifest = {
        **fields,
        "schema_version": BUNDLE_VERSION,
        "created_by": f"catalog-tagger {version('catalog-tagger')}",
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }
    marker = storage.join(url, _UNFINISHED)
    storage.create(marker, json_bytes(sorted(files)))
    for name, data in sorted(files.items()):
        storage.create(storage.join(url, name), data)
    storage.create(storage.join(url, BUNDLE_FILE), json_bytes(manifest))
    storage.delete(marker)


def check_output(url: str) -> None:
    """Raises BundleError where a new bundle cannot be written to this folder."""
    if storage.exists(storage.join(url, BUNDLE_FILE)):
        raise BundleError(f"{url} holds a bundle already: bundles are never overwritten, choose another folder")
    if found := next(iter(storage.list_folder(url)), None):
        raise BundleError(
            f"{url} is not empty and holds no {BUNDLE_FILE} (found {found.url}): remove what an interrupted run left, "
            "or choose another folder"
        )


def clear_unfinished(url: str) -> None:
    """Removes what a killed run has written of a bundle; a complete one and all files of others are left alone."""
    marker = storage.join(url, _UNFINISHED)
    if storage.exists(storage.join(url, BUNDLE_FILE)) or not storage.exists(marker):
        return
    for name in json.loads(storage.read_bytes(marker)):
        storage.delete(storage.join(url, name))
    storage.delete(marker)
