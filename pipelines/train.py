"""Train a tagger: TFRecord shards to a model bundle.

catalog-tagger train --dataset dataset --output bundle
"""

import argparse
import os
from collections.abc import Mapping
from typing import Any

from pipelines.errors import CommandFailed
from pipelines.submitting import add_submit_arguments, check_local, submit, with_places
from pipelines.training_flags import add_training_arguments, training_options

HELP = "Train a tagger on a prepared dataset: trunk, heads, calibration, thresholds, metrics, in one bundle."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `train`."""
    parser.add_argument("--dataset", required=True, help="folder or gs:// prefix that prepare wrote")
    parser.add_argument(
        "--output",
        metavar="BUNDLE",
        help="new folder or gs:// prefix of the bundle (required; in a job: AIP_MODEL_DIR)",
    )
    parser.add_argument(
        "--trunk",
        default="compact",
        help="network that learns at patch level: compact, mobile or short_chunk_resnet (default: compact)",
    )
    parser.add_argument(
        "--statistics",
        choices=("mel", "none"),
        default="mel",
        help="fixed statistics of the mels that are appended to the track embedding",
    )
    add_training_arguments(parser)
    add_submit_arguments(parser)


def run(args: argparse.Namespace, beam_args: list[str]) -> int:
    """Trains, writes the bundle and prints its metrics beside the baselines'; or has a job do so."""
    if args.submit is not None:
        from pipelines.cli import command_parser

        return submit(args, command_parser("train"))
    check_local(args)
    return _train(with_places(args, os.environ))


def _train(args: argparse.Namespace) -> int:
    from models.bundle import BundleError
    from models.bundle_writing import check_output
    from models.checkpoints import CheckpointError
    from transforms.records.datasets import DatasetError, read_manifest

    try:
        # Asked before TensorFlow is imported: these answers should not take half a minute.
        check_output(args.output)
        read_manifest(args.dataset)
        built = _build(args)
    except (BundleError, CheckpointError, DatasetError) as error:
        raise CommandFailed(str(error)) from error
    if built is None:
        print("trained; the chief of the workers writes the bundle")
        return 0
    _print_metrics(built.metrics)
    print(f"bundle {args.output}: {built.bundle.tagger_id}, {built.bundle.embedding_id}, {built.bundle.feature_id}")
    return 0


def _build(args: argparse.Namespace) -> Any:
    # TensorFlow's C++ side writes about its own graph rewriting at error level; what matters comes as an exception.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from models.building import build_bundle
    from models.pooling import Pooling

    options = training_options(args, args.trunk)
    return build_bundle(args.dataset, args.output, options, Pooling(statistics=args.statistics))


def _print_metrics(metrics: Mapping[str, Any]) -> None:
    tracks = metrics["tracks"]
    print(f"tracks: {tracks['train']} train, {tracks['validation']} validation, {tracks['test']} test")
    print(f"{'model':<22}{'split':<12}{'ROC-AUC':>8}{'PR-AUC':>8}{'tags rated':>12}")
    for model, splits in metrics["macro"].items():
        for split, macro in splits.items():
            roc_auc, pr_auc = (_number(macro[name]) for name in ("roc_auc", "pr_auc"))
            print(f"{model:<22}{split:<12}{roc_auc:>8}{pr_auc:>8}{macro['tags']:>12}")
    print(metrics["note"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
