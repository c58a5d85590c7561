"""From a dataset to a bundle: the whole of training in one function."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from models import baselines, checkpoints, data, keras_trunk, placement, training
from models.bundle import Bundle
from models.bundle_writing import check_output, write_bundle
from models.embedding import TrackEmbedder
from models.heads import layout_of
from models.model_card import model_card
from models.pooling import Pooling
from models.shards import local_shards
from models.tagger import SPLITS, SplitRows, Tagger, build_tagger, embed_split
from transforms.records.datasets import DatasetError, DatasetManifest, read_manifest
from transforms.records.hashing import json_bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Built:
    """A new bundle and its metrics."""

    bundle: Bundle
    metrics: dict[str, Any]


def build_bundle(dataset: str, output: str, options: training.TrainingOptions, pooling: Pooling) -> Built | None:
    """Trains on a dataset and writes a bundle; None on workers other than the chief, which help to train it.

    Raises:
      DatasetError: the dataset is missing, incomplete, changed, or has no training tracks.
      BundleError: `output` holds something already.
      CheckpointError: an earlier run left a checkpoint that is damaged or does not fit these options.
    """
    check_output(output)
    manifest = read_manifest(dataset)
    if not manifest.splits.get("train"):
        raise DatasetError(f"{dataset}: no track in the training split (splits: {manifest.splits})")
    with local_shards(dataset, manifest, SPLITS) as paths:
        trained = training.train_trunk(manifest, paths["train"], _tracks(manifest, paths, "validation"), options)
        if not placement.is_chief():
            return None
        facts, trunk_files = keras_trunk.save(trained.trunk, options.trunk, learned=True)
        trunks = [(keras_trunk.as_function(trained.trunk), facts.patch_dim)]
        embedder = TrackEmbedder(trunks, manifest.feature_spec.patch_shape, pooling)
        rows = {split: _embed(manifest, paths, split, embedder) for split in SPLITS}
    taxonomy = manifest.taxonomy
    blocks = pooling.blocks([facts], manifest.feature_spec.n_mels)
    tagger = build_tagger(rows, layout_of(taxonomy), taxonomy.tag_ids, blocks)
    bundle = write_bundle(
        output,
        spec=manifest.feature_spec,
        taxonomy=taxonomy,
        pooling=pooling,
        trunks=(facts,),
        heads=tagger.heads,
        tags=tagger.tags,
        input_statistics={"mean": list(manifest.mel_mean), "std": list(manifest.mel_std)},
        files={**trunk_files, **_documents(manifest, options, trained, tagger)},
    )
    if options.checkpoints:
        checkpoints.remove(options.checkpoints)
    return Built(bundle=bundle, metrics=tagger.metrics)


def _documents(
    manifest: DatasetManifest, options: training.TrainingOptions, trained: training.TrainedTrunk, tagger: Tagger
) -> dict[str, bytes]:
    """The files of a bundle beside what tagging needs: what people read, and the baselines."""
    history = {"best_epoch": trained.best_epoch, "epochs": trained.history, "options": options.to_json()}
    return {
        "metrics.json": json_bytes(tagger.metrics),
        "history.json": json_bytes(history),
        baselines.FILE: tagger.baselines.to_npz(),
        "MODEL_CARD.md": model_card(manifest, options.trunk, tagger.tags, tagger.metrics).encode(),
    }


def _tracks(manifest: DatasetManifest, paths: Mapping[str, list[str]], split: str) -> Iterator[data.Track]:
    return data.tracks(paths[split], manifest, manifest.splits.get(split, 0))


def _embed(manifest: DatasetManifest, paths: Mapping[str, list[str]], split: str, embedder: TrackEmbedder) -> SplitRows:
    tracks, total = _tracks(manifest, paths, split), manifest.splits.get(split, 0)
    return embed_split(tracks, embedder, len(manifest.taxonomy.tags), total, split)
