"""From a dataset to a bundle: the whole of training in one function."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from models.bundles import baselines, split_file
from models.bundles.bundle import Bundle
from models.bundles.bundle_writing import check_output, write_bundle
from models.bundles.model_card import model_card
from models.evaluation.intervals import with_intervals
from models.heads.heads import layout_of
from models.heads.tagger import SPLITS, HeadOptions, SplitRows, Tagger, build_tagger, embed_split, pairs_of
from models.training import checkpoints, cluster, data, placement, training
from models.training.shards import local_shards
from models.trunks.chosen_trunks import ChosenTrunk, Train, choose_trunks
from models.trunks.embedding import TrackEmbedder
from models.trunks.pooling import Pooling
from transforms.records import storage
from transforms.records.datasets import DatasetError, DatasetManifest, read_manifest
from transforms.records.hashing import json_bytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Built:
    """A new bundle and its metrics."""

    bundle: Bundle
    metrics: dict[str, Any]


def build_bundle(
    dataset: str,
    output: str,
    options: training.TrainingOptions,
    pooling: Pooling,
    trunks: Sequence[str] = (),
    heads: HeadOptions | None = None,
    *,
    fine_tune: bool = False,
) -> Built | None:
    """Trains on a dataset and writes a bundle; None on workers other than the chief, which help to train it.

    Args:
      dataset: folder that `prepare` wrote.
      output: folder of the new bundle.
      options: how trunks are trained.
      pooling: what a track embedding is made of.
      trunks: what `choose_trunks` takes; by default the one that the options name.
      heads: what was asked of heads.
      fine_tune: train trunks that are taken from bundles too.

    Raises:
      DatasetError: the dataset is missing, incomplete, changed, or has no training tracks.
      BundleError: `output` holds something already, or a bundle's trunk does not fit.
      TrainingError: the options do not fit the devices, or what an earlier run left.
    """
    if cluster.is_chief():
        check_output(output)
    manifest = read_manifest(dataset)
    if not manifest.splits.get("train"):
        raise DatasetError(f"{dataset}: no track in the training split (splits: {manifest.splits})")
    placement.strategy(options.devices)  # before any network is loaded: TensorFlow sets up its devices once
    words = tuple(trunks) or (options.trunk,)
    with local_shards(dataset, manifest, SPLITS) as paths:
        train = _trainer(manifest, paths, options, apart=len(words) > 1)
        chosen = choose_trunks(words, manifest.feature_id, fine_tune=fine_tune, train=train)
        if not cluster.is_chief():
            return None
        rows = _embedded(manifest, paths, chosen, pooling)
    taxonomy, facts = manifest.taxonomy, tuple(trunk.facts for trunk in chosen)
    blocks = pooling.blocks(facts, manifest.feature_spec.n_mels)
    layout = layout_of(taxonomy)
    tagger = with_intervals(build_tagger(rows, layout, taxonomy.tag_ids, blocks, heads), rows["test"], layout)
    bundle = write_bundle(
        output,
        spec=manifest.feature_spec,
        taxonomy=taxonomy,
        pooling=pooling,
        trunks=facts,
        heads=tagger.heads,
        tags=tagger.tags,
        input_statistics={"mean": list(manifest.mel_mean), "std": list(manifest.mel_std)},
        files={**_files(manifest, options, chosen, tagger), split_file.FILE: split_file.to_bytes(pairs_of(rows))},
    )
    _forget_checkpoints(options.checkpoints, chosen, apart=len(words) > 1)
    return Built(bundle=bundle, metrics=tagger.metrics)


def _embedded(
    manifest: DatasetManifest, paths: Mapping[str, list[str]], chosen: Sequence[ChosenTrunk], pooling: Pooling
) -> dict[str, SplitRows]:
    """The tracks of each split, embedded as the new bundle will embed them."""
    embedder = TrackEmbedder([(trunk.run, trunk.facts.patch_dim) for trunk in chosen], manifest.feature_spec, pooling)
    size = len(manifest.taxonomy.tags)
    return {
        split: embed_split(_tracks(manifest, paths, split), embedder, size, manifest.splits.get(split, 0), split)
        for split in SPLITS
    }


def _forget_checkpoints(folder: str | None, chosen: Sequence[ChosenTrunk], *, apart: bool) -> None:
    """Removes what a killed run would have gone on from: the bundle is complete."""
    for trunk in chosen:
        if trunk.trained and folder:
            checkpoints.remove(_own_folder(folder, trunk.facts.name, apart))
            checkpoints.remove(folder)


def _trainer(
    manifest: DatasetManifest, paths: Mapping[str, list[str]], options: training.TrainingOptions, *, apart: bool
) -> Train:
    """Trains one trunk; several keep their logs and checkpoints in folders of their own."""

    def train(name: str, initial: keras.Model | None) -> training.TrainedTrunk:
        logs, checkpointed = (
            folder and _own_folder(folder, name, apart) for folder in (options.logs, options.checkpoints)
        )
        # A trunk to go on from is not built by name: it need not stand in the registry.
        trunk = name if initial is None else options.trunk
        chosen = dataclasses.replace(options, trunk=trunk, logs=logs, checkpoints=checkpointed)
        return training.train_trunk(
            manifest, paths["train"], _tracks(manifest, paths, "validation"), chosen, initial=initial
        )

    return train


def _own_folder(folder: str, name: str, apart: bool) -> str:
    return storage.join(folder, name) if apart else folder


def _files(
    manifest: DatasetManifest, options: training.TrainingOptions, chosen: Sequence[ChosenTrunk], tagger: Tagger
) -> dict[str, bytes]:
    """All files of a bundle but the heads: trunks, what people read, and the baselines."""
    facts = tuple(trunk.facts for trunk in chosen)
    return {
        **{name: data for trunk in chosen for name, data in trunk.files.items()},
        "metrics.json": json_bytes(tagger.metrics),
        "history.json": json_bytes(_history(options, chosen)),
        **({baselines.FILE: tagger.baselines.to_npz()} if tagger.baselines else {}),
        "MODEL_CARD.md": model_card(manifest, facts, tagger.tags, tagger.metrics).encode(),
    }


def _history(options: training.TrainingOptions, chosen: Sequence[ChosenTrunk]) -> dict[str, Any]:
    """How the trunks were trained: the first one trained here as `epochs`, any further ones by name."""
    kept = {name: value for name, value in options.to_json().items() if name != "trunk"}
    trained = [(trunk.facts.name, trunk.trained) for trunk in chosen if trunk.trained]
    curves = [{"trunk": name, "best_epoch": one.best_epoch, "epochs": one.history} for name, one in trained]
    first = curves[0] if curves else {"trunk": None, "best_epoch": None, "epochs": []}
    return {**first, "further": curves[1:], "options": kept}


def _tracks(manifest: DatasetManifest, paths: Mapping[str, list[str]], split: str) -> Iterator[data.Track]:
    return data.tracks(paths[split], manifest, manifest.splits.get(split, 0))
