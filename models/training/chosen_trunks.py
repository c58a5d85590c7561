"""The trunks of a new bundle: trained from scratch by name, or taken from other bundles, frozen or fine-tuned."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.bundles.trunk_bundle import (
    BUNDLE_FILE,
    BundleError,
    TrunkBundle,
    TrunkFile,
    files_of,
    load_trunks,
    local_copy,
    read_file,
)
from models.embedding.embedder import Trunk
from models.embedding.statistics import STATISTICS
from models.trunks.loading import load_trunk
from models.trunks.onnx_trunk import OnnxTrunk
from transforms import storage

if TYPE_CHECKING:
    import keras

    from models.training.trainer import TrainedTrunk


"""The name that stands for no network at all: the track embedding is the fixed statistics of the mels."""

Train = Callable[[str, "keras.Model | None"], "TrainedTrunk"]
"""Trains the trunk of a registry name, from scratch or from a network."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ChosenTrunk:
    """One trunk of a new bundle.

    Attributes:
      facts: what the manifest says of it.
      files: its files in the bundle, by name.
      run: the trunk itself.
      trained: how it was trained here, or None.
      origin: the ready-made trunk that it was fine-tuned from, as that was; None of any other.
    """

    facts: TrunkFile
    files: Mapping[str, bytes]
    run: Trunk
    trained: "TrainedTrunk | None" = None
    origin: "ChosenTrunk | None" = None


def bundles_among(words: Sequence[str]) -> dict[str, TrunkBundle]:
    """Those of the words that are folders of bundles, each read and checked. Needs no TensorFlow.

    Raises:
      BundleError: a word looks like a folder and holds no good bundle, or one without a trunk; or stands twice.
    """
    found = {}
    for word in words:
        if words.count(word) > 1:
            raise BundleError(f"trunk {word!r} stands {words.count(word)} times: give each trunk once")
        if "/" in word or storage.exists(storage.join(word, BUNDLE_FILE)):
            found[word] = load_trunks(word)
            if not found[word].trunks:
                raise BundleError(f"{word} holds no trunk: its embeddings are the fixed statistics alone")
    return found


def choose_trunks(words: Sequence[str], feature_id: str, *, fine_tune: bool, train: Train) -> list[ChosenTrunk]:
    """The trunks that the words name, in order: registry names are trained, bundles are taken as they are.

    Args:
      words: registry names, `statistics` for none, or folders of bundles.
      feature_id: of the dataset.
      fine_tune: train the bundles' trunks on the dataset too.
      train: trains a network.

    Raises:
      BundleError: a bundle was made for other features, or cannot be fine-tuned.
    """
    bundles = bundles_among(words)
    for bundle in bundles.values():
        bundle.check_feature_id(feature_id)
    chosen: list[ChosenTrunk] = []
    for word in words:
        if word in bundles:
            chosen += _fine_tuned(bundles[word], train) if fine_tune else _frozen(bundles[word])
        elif word != STATISTICS:
            chosen.append(_saved(word, train(word, None)))
    return [_placed(trunk, f"trunks/{number}-{trunk.facts.name}") for number, trunk in enumerate(chosen)]


def _saved(name: str, trained: "TrainedTrunk", source: str = "", licence: str = "") -> ChosenTrunk:
    from models.trunks import keras_trunk

    facts, files = keras_trunk.export_trunk(trained.trunk, name, learned=True, source=source, licence=licence)
    # Heads are fitted on the embeddings that `tag` will see: those of ONNX Runtime, but for the speed of a GPU.
    on_gpu = keras_trunk.has_gpu()
    run = keras_trunk.as_function(trained.trunk) if on_gpu else OnnxTrunk(files[facts.files["onnx"]], None)
    return ChosenTrunk(facts=facts, files=files, run=run, trained=trained)


def _frozen(bundle: TrunkBundle) -> Iterator[ChosenTrunk]:
    with local_copy(bundle.url, bundle) as folder:
        for trunk in bundle.trunks:
            yield _as_it_is(bundle, trunk, folder)


def _as_it_is(bundle: TrunkBundle, trunk: TrunkFile, folder: Path) -> ChosenTrunk:
    return ChosenTrunk(
        facts=trunk,
        files=dict(_files(bundle, trunk)),
        run=load_trunk(trunk, folder, bundle.url, threads=None),
    )


def _files(bundle: TrunkBundle, trunk: TrunkFile) -> Iterator[tuple[str, bytes]]:
    for place in trunk.files.values():
        for name in files_of(place, bundle.files):
            yield name, read_file(bundle.url, name, bundle.files[name])


def _fine_tuned(bundle: TrunkBundle, train: Train) -> Iterator[ChosenTrunk]:
    from models.trunks import keras_trunk

    if without := [trunk.name for trunk in bundle.trunks if "keras" not in trunk.files]:
        raise BundleError(
            f"{bundle.url}: {', '.join(without)} is there without a .keras file, which is what can be trained: "
            "leave --fine-tune out"
        )
    with local_copy(bundle.url, bundle) as folder:
        for trunk in bundle.trunks:
            model = keras_trunk.load_model(folder / trunk.files["keras"], trunk)
            source = f"fine-tuned from {trunk.source or trunk.name}"
            tuned = _saved(trunk.name, train(trunk.name, model), source, trunk.licence)
            yield dataclasses.replace(tuned, origin=_as_it_is(bundle, trunk, folder))


def _placed(trunk: ChosenTrunk, folder: str) -> ChosenTrunk:
    """The trunk with its files in a folder of their own: another trunk's have the same names."""
    places = {place: f"{folder}/{Path(place).name}" for place in trunk.facts.files.values()}
    files = {}
    for name, data in trunk.files.items():
        (place,) = (place for place in places if files_of(place, {name: ""}))
        files[places[place] + name.removeprefix(place)] = data
    facts = dataclasses.replace(trunk.facts, files={kind: places[place] for kind, place in trunk.facts.files.items()})
    origin = trunk.origin and _placed(trunk.origin, folder)
    return dataclasses.replace(trunk, facts=facts, files=files, origin=origin)
