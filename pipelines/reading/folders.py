"""What `describe` says about a bundle or a dataset."""

import dataclasses
from typing import Any

from models.beats.bundle import KIND as BEATS
from models.beats.bundle import read_beat_bundle
from models.bundles.tagger_bundle import HEADS, load_bundle
from models.bundles.text_bundle import TextBundle, load_text_bundle
from models.bundles.trunk_bundle import TEXT_NETWORK, TrunkBundle, load_trunks, read_manifest_of
from pipelines.terminal.answer import Answer
from pipelines.terminal.printing import table_text
from transforms.dataset.manifest import read_manifest
from transforms.formats.quantities import quantity
from transforms.splits.by_artist import SPLITS
from transforms.taxonomy.hierarchy import Taxonomy
from transforms.taxonomy.rules import RULE


def describe_bundle(url: str) -> Answer:
    """Ids, trunks and tags of a bundle. One that `import-model onnx` made has no tags, a text network has neither.

    Raises:
      BundleError: it is damaged, unfinished or of another version.
    """
    manifest = read_manifest_of(url)
    if manifest.get("kind") == BEATS:
        return _describe_beats(url, manifest["created_by"])
    if TEXT_NETWORK in manifest:
        return _describe_text(load_text_bundle(url), manifest["created_by"])
    tagger = load_bundle(url) if HEADS in manifest["files"] else None
    bundle: TrunkBundle = tagger or load_trunks(url)
    ids = {"feature_id": bundle.feature_id, "embedding_id": bundle.embedding_id}
    if tagger is not None:
        ids |= {"tagger_id": tagger.tagger_id, "taxonomy_id": tagger.taxonomy.taxonomy_id}
    categories = [] if tagger is None else _categories(tagger.taxonomy)
    document: dict[str, Any] = {
        "kind": "bundle",
        "bundle": url,
        "created_by": manifest["created_by"],
        "schema_version": bundle.schema_version,
        "ids": ids,
        "embedding_dim": bundle.embedding_dim,
        "trunks": [
            {"name": trunk.name, "trunk_id": name, "patch_dim": trunk.patch_dim, "formats": list(trunk.files)}
            for trunk, name in zip(bundle.trunks, bundle.trunk_ids, strict=True)
        ],
        "categories": categories,
    }
    named = (f"{trunk.name} ({name})" for trunk, name in zip(bundle.trunks, bundle.trunk_ids, strict=True))
    names = ", ".join(named) or "none, statistics alone"
    lines = [
        f"bundle {url}, made by {document['created_by']}",
        f"trunks: {names}; {bundle.embedding_dim} values per track",
        *_category_lines(categories),
        *_id_lines(ids),
    ]
    return Answer(text="\n".join(lines), document=document, all=True)


def _describe_beats(url: str, created_by: str) -> Answer:
    """What a bundle of `import-model beats` holds."""
    bundle = read_beat_bundle(url)
    trial, given = bundle.trial, bundle.given
    document = {
        "kind": "bundle",
        "bundle": url,
        "created_by": created_by,
        "ids": {"beats_id": bundle.beats_id},
        "network": {name: getattr(bundle, name) for name in ("name", "digest", "opset", "source", "licence")},
        "input": given.to_json(),
        "trial": dataclasses.asdict(trial),
    }
    lines = [
        f"bundle {url}, made by {created_by}",
        f"network of beats: {bundle.name}; licence: {bundle.licence.partition(chr(10))[0] or 'not stated'}",
        f"input: {given.n_mels} mel bands, {given.frames_hz:g} times a second, chunks of {given.chunk_frames} frames",
        f"trial: {trial.right_tempi} of {trial.patterns} tempi and {trial.right_metres} metres of drums are right",
        *_id_lines({"beats_id": bundle.beats_id}),
    ]
    return Answer(text="\n".join(lines), document=document, all=True)


def _describe_text(bundle: TextBundle, created_by: str) -> Answer:
    network = bundle.network
    facts = {name: value for name, value in dataclasses.asdict(network).items() if name not in ("digest", "tokenizer")}
    document = {
        "kind": "bundle",
        "bundle": bundle.url,
        "created_by": created_by,
        "ids": {"text_id": network.text_id, "trunk_id": network.trunk_id},
        TEXT_NETWORK: facts,
    }
    lines = [
        f"bundle {bundle.url}, made by {created_by}",
        f"text network: {network.name}; {network.dim} values for a text of at most {network.length} tokens",
        f"it reads {network.template!r}",
        *_id_lines({"text_id": network.text_id, "trunk_id": network.trunk_id}),
    ]
    return Answer(text="\n".join(lines), document=document, all=True)


def describe_dataset(url: str) -> Answer:
    """Ids, splits and tags of a dataset.

    Raises:
      DatasetError: it is damaged or of another version.
    """
    manifest = read_manifest(url)
    ids = {"feature_id": manifest.feature_id, "taxonomy_id": manifest.taxonomy_id}
    categories = _categories(manifest.taxonomy)
    document = {
        "kind": "dataset",
        "dataset": url,
        "ids": ids,
        "counts": manifest.counts,
        "splits": manifest.splits,
        "rejects": manifest.rejects,
        "none": manifest.none,
        "shards": len(manifest.shards),
        "bytes": sum(shard.bytes for shard in manifest.shards),
        "categories": categories,
    }
    lines = [
        f"dataset {url}: {quantity(len(manifest.shards), 'shard')}, {document['bytes']} bytes",
        "tracks: " + ", ".join(f"{name} {count}" for name, count in manifest.counts.items()),
        "examples: " + ", ".join(f"{name} {manifest.splits.get(name, 0)}" for name in SPLITS),
        *_category_lines(categories),
        *_id_lines(ids),
    ]
    return Answer(text="\n".join(lines), document=document, all=True)


def _categories(taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """All categories; those of rules, if there are any, are told from those of the model."""
    found = [{"name": one.name, "kind": one.kind, "tags": len(one.tags)} for one in taxonomy.categories]
    if not taxonomy.rules:
        return found
    ruled = [{"name": one.name, "kind": one.kind, "tags": len(one.tags), "source": RULE} for one in taxonomy.rules]
    return [*({**one, "source": "model"} for one in found), *ruled]


def _category_lines(categories: list[dict[str, Any]]) -> list[str]:
    if not categories:
        return ["no tags: fit heads on it with `train --trunk`"]
    return [table_text(["category", *list(categories[0])[1:]], [list(row.values()) for row in categories])]


def _id_lines(ids: dict[str, str]) -> list[str]:
    return [f"{name:12}  {value}" for name, value in ids.items()]
