"""`train --heads-only`: new heads from embeddings that a table holds already; and the flags of all heads."""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipelines.inputs.labelled_tracks import catalog_labels
from pipelines.terminal.errors import UsageError, checked

if TYPE_CHECKING:
    from models.fitting.tagger import HeadOptions
    from models.refit import RefittedBundle
    from transforms.splits.track_labels import TrackLabels
    from transforms.taxonomy.hierarchy import Taxonomy

NEEDED = ("table", "model")
"""Flags that `--heads-only` cannot do without, and that nothing else takes."""


def add_head_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags for how heads are fitted, and what from."""
    add = parser.add_argument_group("heads").add_argument
    add("--balance", choices=("none", "effective", "inverse"), default="none", help="weight of rare tags in the loss")
    add(
        "--precision-target",
        action="append",
        default=[],
        metavar="[TAG=]SHARE",
        help="thresholds of this precision instead of best F1, of all tags or of one; may be repeated",
    )
    add("--heads-only", action="store_true", help="fit new heads on the embeddings of a table: no audio is opened")
    add("--table", help="with --heads-only: table whose newest snapshot holds the embeddings")
    add("--model", metavar="BUNDLE", help="with --heads-only: bundle that made them; its split is kept")
    add("--catalog", help="with --heads-only: catalog with labels, instead of --dataset")
    add("--taxonomy", metavar="YAML", help="with --catalog: categories and tags (default: the bundle's)")
    add(
        "--split-column",
        help="with --catalog: official sides; of artists that the bundle's split knows, only `none` counts",
    )


def check_heads_only(args: argparse.Namespace) -> None:
    """Refuses flags that do not go together.

    Raises:
      UsageError: a flag is missing, one too many, or a value out of its range.
    """
    head_options(args)
    others = [flag for flag in (*NEEDED, "catalog", "taxonomy", "split_column") if getattr(args, flag) is not None]
    if not args.heads_only:
        if others:
            raise UsageError(f"--{others[0].replace('_', '-')} is for --heads-only")
        if args.dataset is None:
            raise UsageError("missing --dataset: folder or gs:// prefix that prepare wrote")
        return
    if missing := [f"--{flag}" for flag in NEEDED if getattr(args, flag) is None]:
        raise UsageError(f"missing {', '.join(missing)}: --heads-only needs them")
    if (args.dataset is None) == (args.catalog is None):
        raise UsageError("--heads-only takes labels from --catalog or from --dataset: give one of them")
    if args.catalog is None and (args.taxonomy or args.split_column):
        raise UsageError("--taxonomy and --split-column go with --catalog")
    if args.submit is not None:
        raise UsageError("--heads-only takes seconds and no GPU: leave --submit out")


def head_options(args: argparse.Namespace) -> "HeadOptions":
    """The options that the flags make.

    Raises:
      UsageError: a value out of its range.
    """
    from models.fitting.tagger import HeadOptions

    shares: dict[str, float] = {}
    for text in args.precision_target:
        tag, _, share = text.rpartition("=")
        shares[tag] = checked(_share, share)
    overall = shares.pop("", None)
    return checked(HeadOptions, balance=args.balance, precision=overall, tag_precision=shares)


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--precision-target {text!r}: give a share such as 0.9, or TAG=0.9") from None


def refit_heads(args: argparse.Namespace) -> "RefittedBundle":
    """Fits heads on a table's embeddings and writes the bundle.

    Raises:
      UsageError: a flag does not fit.
      CommandFailed: problems in the catalog.
      BundleError, DatasetError, CatalogError, TableError, TaxonomyError: what they say.
    """
    from models.refit import refit
    from transforms.splits.by_artist import SplitRatios
    from transforms.table.reader import open_snapshot

    options = head_options(args)
    snapshot = open_snapshot(args.table)
    taxonomy, labels = _labels(args)
    checked(options.precisions, taxonomy.tag_ids)
    return refit(args.model, args.output, snapshot, labels, taxonomy, options, SplitRatios())


def _labels(args: argparse.Namespace) -> "tuple[Taxonomy, Iterable[TrackLabels]]":
    """The tags of the new heads, and labels of them."""
    from models.bundles.tagger_bundle import load_bundle
    from transforms.dataset.labels import dataset_labels
    from transforms.dataset.manifest import read_manifest
    from transforms.taxonomy.hierarchy import load_taxonomy

    if args.catalog is None:
        manifest = read_manifest(args.dataset)
        return manifest.taxonomy, dataset_labels(args.dataset, manifest)
    taxonomy = load_taxonomy(args.taxonomy) if args.taxonomy else load_bundle(args.model).taxonomy
    return taxonomy, catalog_labels(args.catalog, taxonomy, args.split_column, "trained")
