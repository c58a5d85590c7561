"""`train --heads-only`: new heads from embeddings that a table holds already; and the flags of all heads."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pipelines.catalogs import check_split_column, fail_on_problems, open_catalog
from pipelines.errors import CommandFailed, UsageError, checked

if TYPE_CHECKING:
    from models.heads.refitting import LabelledTrack, Refitted
    from models.heads.tagger import HeadOptions
    from transforms.records.problems import Problem
    from transforms.records.taxonomy import Taxonomy

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
    add("--split-column", help="with --catalog: official sides of artists that the bundle's split does not know")


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
    from models.heads.tagger import HeadOptions

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


def refit_heads(args: argparse.Namespace) -> "Refitted":
    """Fits heads on a table's embeddings and writes the bundle.

    Raises:
      UsageError: a flag does not fit.
      CommandFailed: no table, or problems in the catalog.
      BundleError, DatasetError, CatalogError, TaxonomyError: what they say.
    """
    from models.heads.refitting import refit
    from transforms.records.snapshots import current_snapshot
    from transforms.records.splits import SplitRatios

    options = head_options(args)
    snapshot = current_snapshot(args.table)
    if snapshot is None:
        raise CommandFailed(f"{args.table}: no snapshot is published there")
    taxonomy, labels = _from_catalog(args) if args.catalog is not None else _from_dataset(args.dataset)
    checked(options.precisions, taxonomy.tag_ids)
    return refit(args.model, args.output, (args.table, snapshot), labels, taxonomy, options, SplitRatios())


def _from_catalog(args: argparse.Namespace) -> "tuple[Taxonomy, list[LabelledTrack]]":
    from models.bundles.bundle import load_bundle
    from transforms.records.taxonomy import load_taxonomy

    taxonomy = load_taxonomy(args.taxonomy) if args.taxonomy else load_bundle(args.model).taxonomy
    shards, _ = open_catalog(args.catalog)
    check_split_column(args.split_column, shards[0])
    problems: list[Problem] = []
    labels = list(_catalog_labels(shards, taxonomy, args.split_column, problems))
    fail_on_problems(problems, "trained")
    return taxonomy, labels


def _catalog_labels(
    shards: Any, taxonomy: "Taxonomy", column: str | None, problems: "list[Problem]"
) -> "Iterator[LabelledTrack]":
    """Rows in which some category of the taxonomy is known; tags that it does not have say nothing."""
    from models.heads.refitting import LabelledTrack
    from transforms.records.labels import encode
    from transforms.records.splits import SplitRatios, group_of, split_of
    from transforms.records.tracks import read_shard

    for shard in shards:
        for batch, found in read_shard(shard):
            problems.extend(found)
            for row in batch.to_pylist():
                labels = encode([(tag["tag"], tag["weight"]) for tag in row["tags"] or ()], taxonomy)
                if labels.mask.any():
                    official = split_of(row, SplitRatios(), column) if column else None
                    yield LabelledTrack(row["track_id"], group_of(row), labels.targets, labels.mask, official)


def _from_dataset(dataset: str) -> "tuple[Taxonomy, Iterator[LabelledTrack]]":
    from transforms.records.datasets import read_manifest

    manifest = read_manifest(dataset)
    return manifest.taxonomy, _dataset_labels(dataset, manifest)


def _dataset_labels(dataset: str, manifest: Any) -> "Iterator[LabelledTrack]":
    from models.heads.refitting import LabelledTrack
    from transforms.records import storage
    from transforms.records.examples import decode_example
    from transforms.records.tfrecords import read_records

    for shard in manifest.shards:
        with storage.open_input(storage.join(dataset, shard.path)) as stream:
            for record in read_records(stream):
                found = decode_example(record)
                yield LabelledTrack(found.track_id, found.group, found.targets, found.mask, shard.split)
