"""Evaluate a bundle on tracks that it was not trained on: metrics with intervals, and a report to read.

catalog-tagger evaluate --model bundle --dataset dataset --output evaluation
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.errors import DONE, CommandFailed, checked

HELP = "Evaluate a bundle on a held-out split: tags.parquet, evaluation.json and report.html, with intervals."

EVALUATION, REPORT = "evaluation.json", "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `evaluate`."""
    parser.add_argument("--model", required=True, metavar="BUNDLE", help="folder or gs:// prefix of the bundle")
    parser.add_argument("--dataset", required=True, help="folder or gs:// prefix that prepare wrote")
    parser.add_argument(
        "--split", choices=("test", "validation", "train"), default="test", help="which tracks; only test is untouched"
    )
    parser.add_argument("--output", required=True, metavar="FOLDER", help="where the three files go; holds none yet")
    parser.add_argument(
        "--resamples", type=int, default=300, help="resamples of artists that intervals come from; 0: no intervals"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the resamples")
    parser.add_argument(
        "--durations", default="10,60,180,360", metavar="S,S,...", help="lengths in seconds that part the slices"
    )


def run(args: argparse.Namespace, beam_args: list[str]) -> int:
    """Embeds the split, rates it, writes the files and prints the averages."""
    import importlib.util

    from models.evaluation.evaluation import Resampling
    from transforms.records import storage

    resampling = checked(Resampling, resamples=args.resamples, seed=args.seed)
    edges = checked(parse_edges, args.durations)
    if importlib.util.find_spec("matplotlib") is None:
        raise CommandFailed("the report's plots need matplotlib: pip install 'catalog-tagger[report]'")
    if storage.exists(storage.join(args.output, EVALUATION)):
        raise CommandFailed(f"{args.output} holds an evaluation already: choose another folder")
    files, averages, alone = _evaluate(args, resampling, edges)
    for name, data in files.items():
        storage.write_bytes(storage.join(args.output, name), data)
    print_averages(averages)
    if alone:
        print(alone)
    print(f"report: {storage.join(args.output, REPORT)}")
    return DONE


def parse_edges(text: str) -> tuple[float, ...]:
    """Ascending lengths in seconds of `10,60,180`.

    Raises:
      ValueError: not that.
    """
    try:
        edges = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"--durations {text!r}: give lengths in seconds, e.g. 10,60,180") from error
    if list(edges) != sorted(set(edges)) or edges[0] <= 0:
        raise ValueError(f"--durations {text!r}: give rising lengths over 0")
    return edges


def _evaluate(
    args: argparse.Namespace, resampling: Any, edges: Sequence[float]
) -> tuple[dict[str, bytes], list[dict[str, Any]], str | None]:
    """The files by name, the one that says all is done last; the averages; and why there are no baselines, if so."""
    # TensorFlow's C++ side writes about its own graph rewriting at error level; what matters comes as an exception.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from models.evaluation.evaluation import evaluate
    from models.evaluation.evaluation_files import evaluation_files, subject_of
    from models.evaluation.predictions import predict
    from transforms.records.datasets import read_manifest

    manifest = read_manifest(args.dataset)
    bundle, examined = predict(args.model, args.dataset, manifest, args.split)
    evaluation = evaluate(examined, bundle.layout, bundle.taxonomy.tag_ids, resampling, edges)
    subject = subject_of(bundle, manifest, args.split, resampling)
    files = evaluation_files(subject, examined, evaluation, bundle.taxonomy.tag_ids)
    return files, evaluation.averages, subject.alone


def print_averages(averages: Sequence[Mapping[str, Any]]) -> None:
    """Macro averages of all tags: a line a model, each value with its interval."""
    print(f"{'model':<22}{'ROC-AUC':>22}{'PR-AUC':>22}{'calibration error':>22}{'tags rated':>12}")
    for row in averages:
        if (row["slice"], row["category"], row["average"]) == ("all", "all", "macro"):
            cells = "".join(f"{with_interval(row['metrics'][name]):>22}" for name in ("roc_auc", "pr_auc", "ece"))
            print(f"{row['model']:<22}{cells}{row['tags']:>12}")


def with_interval(found: Mapping[str, float | None]) -> str:
    """`0.873 [0.841, 0.902]`, without what is undefined."""
    if found["value"] is None:
        return "-"
    value = f"{found['value']:.3f}"
    return value if found["low"] is None else f"{value} [{found['low']:.3f}, {found['high']:.3f}]"
