"""Writes a model bundle create-only, with the manifest last."""

import dataclasses
import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from models.bundles.tagger_bundle import HEADS, Bundle, Tagging, load_bundle
from models.bundles.text_bundle import TextBundle, TextNetwork, load_text_bundle, text_fields
from models.bundles.trunk_bundle import BUNDLE_FILE, BundleError, Embedding, TrunkBundle, load_trunks, read_file
from transforms import storage
from transforms.formats.documents import parse_json
from transforms.formats.hashing import json_bytes
from transforms.formats.inner_paths import inner_path
from transforms.formats.sealing import naming, sealed_bytes

UNFINISHED = "bundle.unfinished"
"""List of the files of a bundle that is being written. After a kill, only these may be removed."""

_HISTORY, _METRICS = "history.json", "metrics.json"


def write_bundle(
    url: str,
    embedding: Embedding,
    tagging: Tagging,
    files: Mapping[str, bytes],
    input_statistics: Mapping[str, list[float]] | None = None,
) -> Bundle:
    """Writes a bundle create-only, with the manifest last, and reads it back. The same bundle may be there already.

    Args:
      url: empty folder, local or gs://.
      embedding: trunks, feature spec and pooling.
      tagging: taxonomy, heads and thresholds.
      files: further files by name, including those of the trunks.
      input_statistics: `mean` and `std` of each mel band over the training split.

    Raises:
      BundleError: the folder contains anything else.
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
    """Writes a bundle of trunks without tags, to train heads on. Otherwise like `write_bundle`."""
    _write(url, _embedding_fields(embedding), files)
    return load_trunks(url)


def write_files(url: str, fields: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Writes a bundle of any kind: its files, and a manifest with these fields. Otherwise like `write_bundle`."""
    _write(url, fields, files)


def write_text_bundle(url: str, network: TextNetwork, files: Mapping[str, bytes]) -> TextBundle:
    """Writes the bundle of a text network. Otherwise like `write_bundle`."""
    _write(url, text_fields(network), files)
    return load_text_bundle(url)


def _embedding_fields(embedding: Embedding) -> dict[str, Any]:
    """The part of the manifest that `load_trunks` reads."""
    return {
        "feature_id": embedding.feature_id,
        "embedding_id": embedding.embedding_id,
        "feature_spec": embedding.spec.to_json(),
        "pooling": embedding.pooling.to_json(),
        "trunks": [trunk.to_json() for trunk in embedding.trunks],
        "schema_version": embedding.schema_version,
    }


def _write(url: str, fields: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Writes the files and the manifest, unless the same bundle is there. Its ids are hashes of what it does."""
    if _is_there(url, fields):
        return
    check_output(url)
    manifest = {
        **fields,
        "created_by": f"catalog-tagger {version('catalog-tagger')}",
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }
    marker = storage.join(url, UNFINISHED)
    storage.create(marker, json_bytes(sorted(files)))
    for name, data in sorted(files.items()):
        storage.create(storage.join(url, name), data)
    storage.create(storage.join(url, BUNDLE_FILE), sealed_bytes(manifest))
    storage.delete(marker)


def _is_there(url: str, fields: Mapping[str, Any]) -> bool:
    """Whether the folder contains a bundle with these fields. Times in exported files may differ."""
    if not storage.exists(manifest := storage.join(url, BUNDLE_FILE)):
        return False
    found, own = parse_json(storage.read_bytes(manifest)), parse_json(json_bytes(fields))
    return isinstance(found, dict) and {name: found.get(name) for name in own} == own


def check_output(url: str) -> None:
    """Raises BundleError unless a new bundle can be written to this folder."""
    if storage.exists(storage.join(url, BUNDLE_FILE)):
        raise BundleError(f"{url} already holds a bundle, and bundles are never overwritten: choose another folder")
    if found := next(iter(storage.list_folder(url)), None):
        raise BundleError(
            f"{url} is not empty and holds no {BUNDLE_FILE} (found {found.url}): remove the files of an "
            "interrupted run, or choose another folder"
        )


def open_output(url: str) -> None:
    """Makes a folder ready for a new bundle: removes what a killed run wrote of one.

    Raises:
      BundleError: the folder contains a bundle, or anything else.
    """
    clear_unfinished(url)
    check_output(url)


def made_by(url: str, request: str) -> tuple[Bundle, dict[str, Any], dict[str, Any]] | None:
    """The bundle at this place, its metrics and its history if this request made it; None if another one did.

    A scheduler may start a finished command again.

    Args:
      url: the folder.
      request: digest of everything that the bundle depends on.
    """
    if not storage.exists(storage.join(url, BUNDLE_FILE)):
        return None
    bundle = load_bundle(url)
    if not {_HISTORY, _METRICS} <= bundle.files.keys():  # imported, not trained
        return None
    history, metrics = (parse_json(read_file(url, name, bundle.files[name])) for name in (_HISTORY, _METRICS))
    return (bundle, metrics, history) if history.get("request") == request else None


def clear_unfinished(url: str) -> None:
    """Removes the files that a killed run wrote of a bundle. A complete bundle and all other files are kept."""
    marker = storage.join(url, UNFINISHED)
    if storage.exists(storage.join(url, BUNDLE_FILE)) or not storage.exists(marker):
        return
    data = storage.read_bytes(marker)
    with naming(marker, "a list of files", BundleError):
        names = [inner_path(name) for name in parse_json(data)]
    for name in names:
        storage.delete(storage.join(url, name))
    storage.delete(marker)
