"""Train a tagger: TFRecord shards to a model bundle.

catalog-tagger train --dataset dataset --output bundle
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.inputs.heads import add_head_arguments, check_heads_only, head_options, refit_heads
from pipelines.inputs.training import add_training_arguments, checkpoints_folder, training_options
from pipelines.launch.submit import add_submit_arguments, check_local, submit_training, with_places
from pipelines.terminal.errors import CommandFailed, UsageError, checked
from pipelines.terminal.metrics_table import metrics_lines

if TYPE_CHECKING:
    from models.build import BuiltBundle
    from models.bundles.tagger_bundle import Bundle
    from transforms.dataset.manifest import DatasetManifest

FEW_LABELS = 5_000
"""Labelled tracks below which a ready-made trunk is advised."""

HELP = "Train a tagger on a prepared dataset: trunk, heads, calibration, thresholds, metrics, in one bundle."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `train`."""
    parser.add_argument("--dataset", help="folder or gs:// prefix that prepare wrote")
    parser.add_argument(
        "--output",
        metavar="BUNDLE",
        help="new folder or gs:// prefix of the bundle (required; in a job: AIP_MODEL_DIR)",
    )
    parser.add_argument(
        "--trunk",
        action="append",
        metavar="NAME|BUNDLE",
        help="network from patches to embeddings: compact, mobile or short_chunk_resnet are trained from scratch, the "
        "folder of a bundle gives its ready-made trunks, statistics is none at all; repeat it to join several "
        "(default: compact)",
    )
    parser.add_argument(
        "--fine-tune",
        nargs="?",
        const="tested",
        choices=("tested", "always"),
        help="train the trunks of bundles too, not heads alone; tested, which is what the flag alone says: they are "
        "published where validation tracks show that they are better than before; always: in any case",
    )
    parser.add_argument(
        "--statistics",
        choices=("mel", "none"),
        default="mel",
        help="fixed statistics of the mels that are appended to the track embedding",
    )
    add_head_arguments(parser)
    add_training_arguments(parser)
    add_submit_arguments(parser)


def run(args: argparse.Namespace, beam_args: list[str]) -> int:
    """Trains, writes the bundle and prints its metrics beside the baselines'; or has a job do so."""
    check_heads_only(args)
    if args.submit is not None:
        from pipelines.cli import command_parser

        return submit_training(args, command_parser("train"))
    check_local(args)
    placed = with_places(args, os.environ)
    return _refit(placed) if args.heads_only else _train(placed)


def _refit(args: argparse.Namespace) -> int:
    from models.bundles.trunk_bundle import BundleError
    from transforms.dataset.manifest import DatasetError

    try:
        found = refit_heads(args)
    except (BundleError, DatasetError) as error:
        raise CommandFailed(str(error)) from error
    if found.absent:
        print(f"{found.absent} labelled tracks have no embedding in {args.table}: left out")
    if found.kept_out:
        print(f"{found.kept_out} labelled tracks are kept out by the split, or stand with the same bytes on two sides")
    if found.unsplit:
        print(f"{found.unsplit} tracks are of artists that {args.model} has not seen: split by the labels' source")
    print(*metrics_lines(found.metrics), sep="\n")
    _print_bundle(args.output, found.bundle)
    return 0


def _train(args: argparse.Namespace) -> int:
    from models.bundles.trunk_bundle import BundleError
    from models.training.errors import TrainingError
    from transforms.dataset.manifest import DatasetError, read_manifest

    try:
        # Asked before TensorFlow is imported: these answers should not take half a minute.
        _check_output(args)
        dataset = read_manifest(args.dataset)
        checked(head_options(args).precisions, dataset.taxonomy.tag_ids)
        names = _check_trunks(args, dataset)
        built = _build(args, names)
    except (BundleError, DatasetError, TrainingError) as error:
        raise CommandFailed(str(error)) from error
    if built is None:
        print("trained; the chief of the workers writes the bundle")
        return 0
    print(*metrics_lines(built.metrics), sep="\n")
    _print_bundle(args.output, built.bundle)
    if built.metrics.get("fine_tuning", {}).get("published") == "frozen":
        print(
            "fine-tuning did not lower the loss on validation tracks by more than its standard error: the bundle holds "
            "the ready-made trunks as they were (--fine-tune always publishes the trained ones)"
        )
    if advice := advice_for(built.metrics["tracks"], has_bundles=names != args.trunk):
        print(advice)
    return 0


def advice_for(tracks: Mapping[str, int], *, has_bundles: bool) -> str | None:
    """What to take besides a network from scratch or the fixed statistics for so few labels, see docs/quality.md."""
    labelled = tracks["train"] + tracks["validation"]
    if labelled >= FEW_LABELS or has_bundles:
        return None
    return (
        f"with {labelled} labelled tracks, ready-made networks are mostly better on music: `catalog-tagger import "
        "musicnn`, then `prepare` and `train` with --trunk on both of its bundles (docs/quality.md)"
    )


def _check_output(args: argparse.Namespace) -> None:
    """Makes sure that the chief can write a bundle; what a killed run has written of it makes room.

    Raises:
      BundleError: there is something else.
    """
    from models.bundles.writing import check_output, clear_unfinished
    from models.training import checkpoints
    from models.training.cluster import is_chief

    if not is_chief():
        return
    if checkpoints.is_in(checkpoints_folder(args)):
        clear_unfinished(args.output)
    check_output(args.output)


def _print_bundle(output: str, bundle: "Bundle") -> None:
    print(f"bundle {output}: {bundle.tagger_id}, {bundle.embedding_id}, {bundle.feature_id}")


def _check_trunks(args: argparse.Namespace, dataset: "DatasetManifest") -> list[str]:
    """Asks of the trunks what can be asked without TensorFlow; the names among them, those of bundles left out.

    Raises:
      UsageError: the flags make no sense together.
      BundleError: a bundle is none, or was made for other features than the dataset.
    """
    from models.embedding.statistics import STATISTICS
    from models.training.chosen_trunks import bundles_among

    args.trunk = args.trunk or ["compact"]
    bundles = bundles_among(args.trunk)
    if args.fine_tune and not bundles:
        raise UsageError("--fine-tune goes on from the trunk of a bundle: give one as --trunk BUNDLE")
    if args.train_norms and not args.fine_tune:
        raise UsageError("--train-norms is for --fine-tune: trunks from scratch always train theirs")
    if STATISTICS in args.trunk and args.statistics == "none":
        raise UsageError("--trunk statistics with --statistics none leaves nothing to embed tracks by")
    for bundle in bundles.values():
        bundle.check_feature_id(dataset.feature_id)
    return [word for word in args.trunk if word not in bundles]


def _build(args: argparse.Namespace, names: Sequence[str]) -> "BuiltBundle | None":
    from models.build import build_bundle
    from models.embedding.pooling import Pooling

    # Every name is checked before the first trunk is trained.
    options = [training_options(args, name) for name in names] or [training_options(args, "compact")]
    pooling = Pooling(statistics=args.statistics)
    return build_bundle(
        args.dataset, args.output, options[0], pooling, args.trunk, head_options(args), fine_tune=args.fine_tune
    )
