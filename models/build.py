"""The whole training, from a dataset to a bundle, in one function."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np

from models.bundles import split_record as split_file
from models.bundles.tagger_bundle import Bundle
from models.bundles.trunk_bundle import Embedding
from models.bundles.writing import check_output
from models.draft import BundleDraft
from models.embedding.embedder import LoadedTrunk, TrackEmbedder
from models.embedding.pooling import Pooling
from models.evaluation.intervals import with_intervals
from models.fitting.gain import Gain
from models.fitting.rows import SplitRows, embed_split, pairs_of
from models.fitting.tagger import RATED, FittedTagger, HeadOptions, build_tagger
from models.scoring.heads import layout_of
from models.training import checkpoints, cluster, data, placement
from models.training import trainer as training
from models.training.chosen_trunks import ChosenTrunk, Train, bundles_among, choose_trunks
from models.training.shards import local_shards
from transforms import storage
from transforms.dataset.manifest import DatasetError, DatasetManifest, read_manifest, tied_tracks
from transforms.splits.by_artist import NONE, SPLITS
from transforms.telemetry.phases import phase

FineTune = Literal["tested", "always"]
"""When fine-tuned trunks are published: only if they are better on validation tracks (`tested`), or always."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuiltBundle:
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
    fine_tune: FineTune | None = None,
    request: str | None = None,
) -> BuiltBundle | None:
    """Trains on a dataset and writes a bundle. Workers other than the chief only help to train, and get None.

    Args:
      dataset: folder that `prepare` wrote.
      output: folder of the new bundle.
      options: how trunks are trained.
      pooling: how patch embeddings become a track embedding.
      trunks: the argument `words` of `choose_trunks`; the default is the trunk that the options name.
      heads: how heads are fitted.
      fine_tune: also train the trunks of bundles; None: keep them frozen.
      request: digest of what the caller asked for; stored, so that the same request is recognised as finished.

    Raises:
      DatasetError: the dataset is missing, incomplete, changed, or has no training tracks.
      BundleError: `output` is not empty, a bundle's trunk does not fit, or tracks that it was trained on would be
        rated as unseen.
      TrainingError: the options do not fit the devices, or the checkpoint of an earlier run.
    """
    if cluster.is_chief():
        check_output(output)
    manifest = read_manifest(dataset)
    if not manifest.splits.get("train"):
        raise DatasetError(f"{dataset}: no track in the training split (splits: {manifest.splits})")
    tied = [(track, "") for track in tied_tracks(dataset, manifest)]  # their groups are not used
    placement.strategy(options.devices)  # before any network is loaded: TensorFlow sets up its devices once
    words = tuple(trunks) or (options.trunk,)
    apart = len(words) > 1 or fine_tune is not None
    with local_shards(dataset, manifest, SPLITS) as paths:
        learned = _learned_before(words, manifest, paths)
        train = _trainer(manifest, paths, options, apart=apart)
        trained = choose_trunks(words, manifest.feature_id, fine_tune=fine_tune is not None, train=train)
        if not cluster.is_chief():
            return None
        fit = functools.partial(_fitted, manifest, paths, pooling, heads)
        found = fit(trained)
        if fine_tune == "tested":
            found = _better(fit([trunk.origin or trunk for trunk in trained]), found)
    draft = BundleDraft(
        embedding=found.embedding,
        trunk_files={name: content for trunk in found.trunks for name, content in trunk.files.items()},
        taxonomy=manifest.taxonomy,
        tagger=with_intervals(found.tagger, found.rows["test"], layout_of(manifest.taxonomy)),
        history={**_history(options, trained), "request": request},
        splits={**pairs_of(found.rows), NONE: tied},
        learned=learned,
        input_statistics={"mean": list(manifest.mel_mean), "std": list(manifest.mel_std)},
    )
    with phase("writing the bundle"):
        bundle = draft.write(output)
    _forget_checkpoints(options.checkpoints, trained, apart=apart)
    return BuiltBundle(bundle=bundle, metrics=draft.tagger.metrics)


def _learned_before(
    words: Sequence[str], manifest: DatasetManifest, paths: Mapping[str, list[str]]
) -> list[split_file.SplitRow]:
    """The tracks that trunks of bundles were trained on. Raises BundleError if they would be rated as unseen."""
    trained = [bundle for bundle in bundles_among(words).values() if split_file.is_trained(bundle)]
    if not trained:
        return []
    rated = {split: [(track.track_id, track.group) for track in _tracks(manifest, paths, split)] for split in RATED}
    learned = []
    for bundle in trained:
        rows = split_file.read_rows(bundle)
        split_file.check_split(bundle, split_file.Sides.of_rows(rows), rated)
        learned += split_file.learned_rows(bundle, rows)
    return learned


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Candidate:
    """Trunks, the labelled tracks that they embedded, and the tagger fitted on these embeddings."""

    embedding: Embedding
    trunks: Sequence[ChosenTrunk]
    rows: dict[str, SplitRows]
    tagger: FittedTagger


def _fitted(
    manifest: DatasetManifest,
    paths: Mapping[str, list[str]],
    pooling: Pooling,
    heads: HeadOptions | None,
    trunks: Sequence[ChosenTrunk],
) -> _Candidate:
    rows = _embedded(manifest, paths, trunks, pooling)
    spec, taxonomy = manifest.feature_spec, manifest.taxonomy
    embedding = Embedding(spec=spec, pooling=pooling, trunks=tuple(trunk.facts for trunk in trunks))
    blocks = pooling.blocks(embedding.trunks, spec.n_mels)
    tagger = build_tagger(rows, layout_of(taxonomy), taxonomy.tag_ids, blocks, heads)
    return _Candidate(embedding=embedding, trunks=trunks, rows=rows, tagger=tagger)


def _better(frozen: _Candidate, tuned: _Candidate) -> _Candidate:
    """Returns the fine-tuned trunks if their validation loss is lower by more than its standard error (see `Gain`)."""
    losses = [found.tagger.validation_losses for found in (frozen, tuned)]
    known = ~np.isnan(losses[0])
    groups = [group for group, counts in zip(frozen.rows["validation"].groups, known, strict=True) if counts]
    gain = Gain.of(losses[0][known], losses[1][known], groups)
    chosen = tuned if gain and gain.is_sure else frozen
    facts = {"published": "fine-tuned" if chosen is tuned else "frozen", "gain": gain and gain._asdict()}
    tagger = dataclasses.replace(chosen.tagger, metrics={**chosen.tagger.metrics, "fine_tuning": facts})
    return dataclasses.replace(chosen, tagger=tagger)


def _embedded(
    manifest: DatasetManifest, paths: Mapping[str, list[str]], chosen: Sequence[ChosenTrunk], pooling: Pooling
) -> dict[str, SplitRows]:
    """Embeds the tracks of each split exactly as the new bundle will."""
    loaded = [LoadedTrunk(trunk.run, trunk.facts.patch_dim, trunk.facts.batch) for trunk in chosen]
    embedder = TrackEmbedder(loaded, manifest.feature_spec, pooling)
    size = len(manifest.taxonomy.tags)
    return {
        split: embed_split(_tracks(manifest, paths, split), embedder, size, manifest.splits.get(split, 0), split)
        for split in SPLITS
    }


def _forget_checkpoints(folder: str | None, chosen: Sequence[ChosenTrunk], *, apart: bool) -> None:
    """Removes the checkpoints: the bundle is complete, so nothing is left to resume."""
    for number, trunk in enumerate(trunk for trunk in chosen if trunk.trained):
        if folder:
            checkpoints.remove(_own_folder(folder, number, trunk.facts.name, apart))
            checkpoints.remove(folder)


def _trainer(
    manifest: DatasetManifest, paths: Mapping[str, list[str]], options: training.TrainingOptions, *, apart: bool
) -> Train:
    """A function that trains one trunk per call. `apart` gives each trunk separate folders for logs and checkpoints."""
    numbers = itertools.count()

    def train(name: str, initial: keras.Model | None) -> training.TrainedTrunk:
        number = next(numbers)
        logs, checkpointed = (
            folder and _own_folder(folder, number, name, apart) for folder in (options.logs, options.checkpoints)
        )
        # A trunk that is given as a network is not built by name, so its name may be missing in the registry.
        trunk = name if initial is None else options.trunk
        chosen = dataclasses.replace(options, trunk=trunk, logs=logs, checkpoints=checkpointed)
        return training.train_trunk(
            manifest, paths["train"], _tracks(manifest, paths, "validation"), chosen, initial=initial
        )

    return train


def _own_folder(folder: str, number: int, name: str, apart: bool) -> str:
    """The folder of one trunk. It is numbered, because trunks of two bundles may have the same name."""
    return storage.join(folder, f"{number}-{name}") if apart else folder


def _history(options: training.TrainingOptions, chosen: Sequence[ChosenTrunk]) -> dict[str, Any]:
    """How the trunks were trained: the first one at the top level, the others in the list `further`."""
    kept = {name: value for name, value in options.to_json().items() if name != "trunk"}
    trained = [(trunk.facts.name, trunk.trained) for trunk in chosen if trunk.trained]
    curves = [{"trunk": name, "best_epoch": one.best_epoch, "epochs": one.history} for name, one in trained]
    first = curves[0] if curves else {"trunk": None, "best_epoch": None, "epochs": []}
    return {**first, "further": curves[1:], "options": kept}


def _tracks(manifest: DatasetManifest, paths: Mapping[str, list[str]], split: str) -> Iterator[data.TrainingTrack]:
    return data.tracks(paths[split], manifest, manifest.splits.get(split, 0))
