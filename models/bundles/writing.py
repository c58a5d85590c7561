"""Writes a model bundle: create-only, its manifest last."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from models.bundles.tagger_bundle import HEADS, Bundle, Tagging, load_bundle
from models.bundles.trunk_bundle import BUNDLE_FILE, BUNDLE_VERSION, BundleError, Embedding, TrunkBundle, load_trunks
from transforms import storage
from transforms.formats.hashing import json_bytes

_UNFINISHED = "bundle.unfinished"
"""Names of the files of a bundle that is being written: the only ones that may be removed after a kill."""


def write_bundle(
    url: str,
    embedding: Embedding,
    tagging: Tagging,
    files: Mapping[str, bytes],
    input_statistics: Mapping[str, list[float]] | None = None,
) -> Bundle:
    """Writes a bundle create-only, its manifest last, and reads it back.

    Args:
      url: folder that holds no bundle yet, local or gs://.
      embedding: what makes embeddings.
      tagging: what makes tags of them.
      files: further files by name, the trunks' among them.
      input_statistics: per-mel `mean` and `std` of the training split.
    """
    fields = {
        "tagger_id": tagging.tagger_id_of(embedding),
        "taxonomy_id": tagging.taxonomy.taxonomy_id,
        "input_statistics": dict(input_statistics or {}),
        "tags": [dataclasses.asdict(facts) for facts in tagging.tags],
        "taxonomy": tagging.taxonomy.to_json(),
    }
    _write(url, {**_embedding_fields(embedding), **fields}, {**files, HEADS: tagging.heads.to_npz()})
    return load_bundle(url)


def write_trunk_bundle(url: str, embedding: Embedding, files: Mapping[str, bytes]) -> TrunkBundle:
    """Writes a bundle without tags: trunks to train heads on, as `write_bundle` does."""
    _write(url, _embedding_fields(embedding), files)
    return load_trunks(url)


def _embedding_fields(embedding: Embedding) -> dict[str, Any]:
    """The part of the manifest that `load_trunks` reads."""
    return {
        "feature_id": embedding.feature_id,
        "embedding_id": embedding.embedding_id,
        "feature_spec": embedding.spec.to_json(),
        "pooling": embedding.pooling.to_json(),
        "trunks": [dataclasses.asdict(trunk) for trunk in embedding.trunks],
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
