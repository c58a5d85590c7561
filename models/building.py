"""From a dataset to a bundle: the whole of training in one function."""

import dataclasses
from typing import Any

from models import data, keras_trunk, training
from models.bundle import Bundle, check_output, write_bundle
from models.embedding import TrackEmbedder
from models.heads import layout_of
from models.model_card import model_card
from models.pooling import Pooling
from models.shards import checked_paths
from models.tagger import SPLITS, SplitRows, build_tagger, embed_split
from transforms.records.datasets import DatasetError, DatasetManifest, read_manifest
from transforms.records.hashing import json_bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Built:
    """A new bundle and its metrics."""

    bundle: Bundle
    metrics: dict[str, Any]


def build_bundle(dataset: str, output: str, options: training.TrainingOptions, pooling: Pooling) -> Built:
    """Trains on a dataset and writes a bundle.

    Raises:
      DatasetError: the dataset is missing, incomplete, changed, or has no training tracks.
      BundleError: `output` holds something already.
    """
    check_output(output)
    manifest = read_manifest(dataset)
    if not manifest.splits.get("train"):
        raise DatasetError(f"{dataset}: no track in the training split (splits: {manifest.splits})")
    paths = {split: checked_paths(dataset, manifest, split) for split in SPLITS}
    held_out = data.tracks(paths["validation"], manifest, manifest.splits.get("validation", 0))
    trained = training.train_trunk(manifest, paths["train"], held_out, options)
    facts, trunk_bytes = keras_trunk.save(trained.trunk, options.trunk)
    embedder = TrackEmbedder(
        keras_trunk.as_function(trained.trunk), facts.patch_dim, manifest.feature_spec.patch_shape, pooling
    )
    rows = {split: _embed(manifest, paths[split], embedder, split) for split in SPLITS}
    tagger = build_tagger(
        rows, layout_of(manifest.taxonomy), manifest.taxonomy.tag_ids, pooling.learned(facts.patch_dim)
    )
    history = {"best_epoch": trained.best_epoch, "epochs": trained.history, "options": dataclasses.asdict(options)}
    bundle = write_bundle(
        output,
        spec=manifest.feature_spec,
        taxonomy=manifest.taxonomy,
        pooling=pooling,
        trunk=facts,
        heads=tagger.heads,
        tags=tagger.tags,
        input_statistics={"mean": list(manifest.mel_mean), "std": list(manifest.mel_std)},
        files={
            facts.file: trunk_bytes,
            "metrics.json": json_bytes(tagger.metrics),
            "history.json": json_bytes(history),
            "MODEL_CARD.md": model_card(manifest, options.trunk, tagger.tags, tagger.metrics).encode(),
        },
    )
    return Built(bundle=bundle, metrics=tagger.metrics)


def _embed(manifest: DatasetManifest, paths: list[str], embedder: TrackEmbedder, split: str) -> SplitRows:
    total = manifest.splits.get(split, 0)
    return embed_split(data.tracks(paths, manifest, total), embedder, len(manifest.taxonomy.tags), total, split)
