"""Train a tagger: TFRecord shards to a model bundle.

catalog-tagger train --dataset dataset --output bundle
"""

import argparse
import os
from collections.abc import Mapping
from typing import Any

from pipelines.errors import CommandFailed, UsageError
from pipelines.submitting import add_submit_arguments, check_local, submit, with_places

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
    parser.add_argument("--epochs", type=int, default=30, help="most passes over the training tracks")
    parser.add_argument("--patience", type=int, default=8, help="epochs without progress on validation before the end")
    parser.add_argument("--batch-size", type=int, default=32, help="patches of a training step")
    parser.add_argument("--patches-per-track", type=int, default=4, help="random patches that a track gives per epoch")
    parser.add_argument("--learning-rate", type=float, help="of AdamW at its start (default: 0.002)")
    parser.add_argument(
        "--statistics",
        choices=("mel", "none"),
        default="mel",
        help="fixed statistics of the mels that are appended to the track embedding",
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation")
    parser.add_argument(
        "--logs",
        metavar="FOLDER",
        help="where TensorBoard finds the run (default: AIP_TENSORBOARD_LOG_DIR, else BUNDLE.logs; none beside gs://)",
    )
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
    from transforms.records.datasets import DatasetError, read_manifest

    try:
        # Asked before TensorFlow is imported: these answers should not take half a minute.
        check_output(args.output)
        read_manifest(args.dataset)
        built = _build(args)
    except (BundleError, DatasetError) as error:
        raise CommandFailed(str(error)) from error
    _print_metrics(built.metrics)
    print(f"bundle {args.output}: {built.bundle.tagger_id}, {built.bundle.embedding_id}, {built.bundle.feature_id}")
    return 0


def _build(args: argparse.Namespace) -> Any:
    # TensorFlow's C++ side writes about its own graph rewriting at error level; what matters comes as an exception.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from models.building import build_bundle
    from models.data import Sampling
    from models.pooling import Pooling
    from models.training import TrainingOptions

    try:
        sampling = Sampling(batch_size=args.batch_size, patches_per_track=args.patches_per_track, seed=args.seed)
        options = TrainingOptions(
            trunk=args.trunk,
            epochs=args.epochs,
            patience=args.patience,
            learning_rate=args.learning_rate,
            sampling=sampling,
            logs=args.logs or (None if "://" in args.output else f"{args.output.rstrip('/')}.logs"),
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
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
