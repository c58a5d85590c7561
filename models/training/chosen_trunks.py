"""The trunks of a new bundle: trained from scratch, or taken from other bundles, frozen or fine-tuned."""

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


Train = Callable[[str, "keras.Model | None"], "TrainedTrunk"]
"""Function that trains a trunk by registry name: from scratch (None), or from an initial network."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ChosenTrunk:
    """One trunk of a new bundle.

    Attributes:
      facts: its entry in the manifest.
      files: its files in the bundle, by name.
      run: the trunk as a function.
      trained: the result of its training; None if it is frozen.
      origin: the unchanged trunk that it was fine-tuned from; None if it was not fine-tuned.
    """

    facts: TrunkFile
    files: Mapping[str, bytes]
    run: Trunk
    trained: "TrainedTrunk | None" = None
    origin: "ChosenTrunk | None" = None


def bundles_among(words: Sequence[str]) -> dict[str, TrunkBundle]:
    """Reads and checks the bundles among the words: word -> bundle. Needs no TensorFlow.

    Raises:
      BundleError: a word is a folder without a valid bundle or with a bundle without a trunk, or a word is repeated.
    """
    found = {}
    for word in words:
        if words.count(word) > 1:
            raise BundleError(f"trunk {word!r} is given {words.count(word)} times: give each trunk once")
        if "/" in word or storage.exists(storage.join(word, BUNDLE_FILE)):
            found[word] = load_trunks(word)
            if not found[word].trunks:
                raise BundleError(f"{word} holds no trunk, only the statistics: use `--trunk statistics`")
    return found


def choose_trunks(words: Sequence[str], feature_id: str, *, fine_tune: bool, train: Train) -> list[ChosenTrunk]:
    """The trunks that the words name, in order. Registry names are trained from scratch.

    Args:
      words: registry names, `statistics` for no trunk, or folders of bundles.
      feature_id: feature id of the dataset.
      fine_tune: also train the trunks of bundles on the dataset; if False, they stay frozen.
      train: function that trains a network.

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
    # Heads are fitted on embeddings from ONNX Runtime, which `tag` uses too. A GPU, if there is one, is used instead,
    # because it is faster.
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
            f"{bundle.url}: {', '.join(without)} has no .keras file, and only that format can be fine-tuned: "
            "leave --fine-tune out"
        )
    with local_copy(bundle.url, bundle) as folder:
        for trunk in bundle.trunks:
            model = keras_trunk.load_model(folder / trunk.files["keras"], trunk)
            source = f"fine-tuned from {trunk.source or trunk.name}"
            tuned = _saved(trunk.name, train(trunk.name, model), source, trunk.licence)
            yield dataclasses.replace(tuned, origin=_as_it_is(bundle, trunk, folder))


def _placed(trunk: ChosenTrunk, folder: str) -> ChosenTrunk:
    """The trunk with its files moved to a separate folder, because file names of several trunks are equal."""
    places = {place: f"{folder}/{Path(place).name}" for place in trunk.facts.files.values()}
    files = {}
    for name, data in trunk.files.items():
        (place,) = (place for place in places if files_of(place, {name: ""}))
        files[places[place] + name.removeprefix(place)] = data
    facts = dataclasses.replace(trunk.facts, files={kind: places[place] for kind, place in trunk.facts.files.items()})
    origin = trunk.origin and _placed(trunk.origin, folder)
    return dataclasses.replace(trunk, facts=facts, files=files, origin=origin)
