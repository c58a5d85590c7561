"""Trains a trunk and fits heads. All checks that need no TensorFlow come first."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from models.bundles.trunk_bundle import BUNDLE_FILE, BundleError
from models.bundles.writing import check_output, clear_unfinished, made_by
from models.embedding.pooling import Pooling
from models.embedding.statistics import STATISTICS
from models.training import checkpoints
from models.training.chosen_trunks import bundles_among
from models.training.cluster import is_chief
from models.training.errors import TrainingError
from models.trunks.quiet_start import start_tensorflow
from pipelines.inputs.flags import Arguments
from pipelines.inputs.heads import head_options
from pipelines.inputs.kinds import check_writes
from pipelines.inputs.places import checkpoints_folder, with_places
from pipelines.reports.bundle_answer import bundle_answer
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import CommandFailed, UsageError, checked
from transforms import storage
from transforms.dataset.manifest import DatasetError, DatasetManifest, read_manifest
from transforms.formats.hashing import digest
from transforms.telemetry.phases import phase

if TYPE_CHECKING:
    from models.build import BuiltBundle

_NOT_ASKED_FOR = ("output", "checkpoints", "checkpoint_steps", "logs", "dataset")
"""Places and times of writing, which do not change what is trained."""

FEW_LABELS = 5_000
"""With fewer labelled tracks than this, `train` advises an imported trunk."""


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Trains and writes the bundle; in a GPU job, its environment gives the places of flags that are not given."""
    head_options(args)
    return _train(with_places(args, os.environ))


def _train(args: Arguments) -> Answer:
    check_writes("--output", args.output, "bundle")
    check_writes("--checkpoints", checkpoints_folder(args))
    check_writes("--logs", args.logs)
    try:
        # Check before TensorFlow is imported, so that errors appear at once and not after half a minute.
        if (finished := _finished(args)) is not None:
            return finished
        _check_output(args)
        dataset = read_manifest(args.dataset)
        checked(head_options(args).precisions, dataset.taxonomy.tag_ids)
        names = _check_trunks(args, dataset)
        built = _build(args, names, dataset)
    except (BundleError, DatasetError, TrainingError) as error:
        raise CommandFailed(str(error)) from error
    if built is None:
        return Answer(text="trained; the chief of the workers writes the bundle", document={"bundle": None})
    notes = []
    if built.metrics.get("fine_tuning", {}).get("published") == "frozen":
        notes.append(
            "fine-tuning did not lower the validation loss by more than its standard error: the bundle contains the "
            "original trunks (use --fine-tune always to publish the fine-tuned ones)"
        )
    if advice := advice_for(built.metrics["tracks"], has_bundles=names != args.trunk):
        notes.append(advice)
    return bundle_answer(args.output, built.bundle, built.metrics, notes=notes)


def _request(args: Arguments, dataset: DatasetManifest) -> str:
    """Digest of everything that the bundle depends on: the flags without places, and the dataset."""
    flags = {name: value for name, value in vars(args).items() if name not in _NOT_ASKED_FOR}
    flags["trunk"] = [str(word).rstrip("/") for word in args.trunk] or ["compact"]
    return digest(json.dumps(flags, sort_keys=True), json.dumps(dataset.to_json(), sort_keys=True))


def _finished(args: Arguments) -> Answer | None:
    """The answer about the bundle at --output if the same request made it; None if another one did, or none is there.

    A scheduler may start a finished command again.
    """
    if not is_chief() or not storage.exists(storage.join(args.output, BUNDLE_FILE)):
        return None
    try:
        found = made_by(args.output, _request(args, read_manifest(args.dataset)))
    except DatasetError:
        return None
    if found is None:
        return None
    bundle, metrics, _ = found
    return bundle_answer(args.output, bundle, metrics, before=["the same command has already trained this bundle"])


def advice_for(tracks: Mapping[str, int], *, has_bundles: bool) -> str | None:
    """Advice to use imported networks if there are few labels, see docs/quality.md; None if it does not apply."""
    labelled = tracks["train"] + tracks["validation"]
    if labelled >= FEW_LABELS or has_bundles:
        return None
    return (
        f"with {labelled} labelled tracks, imported networks are mostly better on music: run `catalog-tagger "
        "import-model musicnn`, then `prepare` and `train` with --trunk for both of its bundles (docs/quality.md)"
    )


def _check_output(args: Arguments) -> None:
    """Checks that the chief can write a bundle. Files of a killed run that this run resumes are removed.

    Raises:
      BundleError: the output contains something else.
    """
    if not is_chief():
        return
    if checkpoints.is_in(checkpoints_folder(args)):
        clear_unfinished(args.output)
    check_output(args.output)


def _check_trunks(args: Arguments, dataset: DatasetManifest) -> list[str]:
    """Checks the trunks as far as possible without TensorFlow; returns those that are names and not bundles.

    Raises:
      UsageError: the flags exclude or require each other.
      BundleError: a trunk is not a bundle, or takes other features than the dataset.
    """
    args.trunk = list(args.trunk) or ["compact"]
    bundles = bundles_among(args.trunk)
    if args.fine_tune and not bundles:
        raise UsageError("--fine-tune starts from the trunk of a bundle: give one as --trunk BUNDLE")
    if args.train_norms and not args.fine_tune:
        raise UsageError("--train-norms needs --fine-tune: trunks from scratch always train their normalisation layers")
    if STATISTICS in args.trunk and args.statistics == "none":
        raise UsageError("--trunk statistics excludes --statistics none: there would be no embedding")
    for bundle in bundles.values():
        bundle.check_feature_id(dataset.feature_id)
    return [word for word in args.trunk if word not in bundles]


def _build(args: Arguments, names: Sequence[str], dataset: DatasetManifest) -> "BuiltBundle | None":
    # TensorFlow takes seconds to import: after everything that can be refused without it.
    with phase("starting TensorFlow"):
        start_tensorflow()
    from models.build import build_bundle
    from pipelines.inputs.training import training_options

    # Check every name before the first trunk is trained.
    options = [training_options(args, name) for name in names] or [training_options(args, "compact")]
    pooling = Pooling(statistics=args.statistics)
    return build_bundle(
        args.dataset,
        args.output,
        options[0],
        pooling,
        args.trunk,
        head_options(args),
        fine_tune=args.fine_tune,
        request=_request(args, dataset),
    )
