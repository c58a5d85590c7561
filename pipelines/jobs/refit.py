"""Fits new heads on the embeddings of a published table."""

from collections import Counter
from collections.abc import Iterable

from models.bundles.tagger_bundle import load_bundle
from models.bundles.trunk_bundle import BundleError
from models.refit import RefittedBundle, refit
from pipelines.inputs.flags import Arguments
from pipelines.inputs.heads import head_options
from pipelines.inputs.kinds import check_writes
from pipelines.inputs.labelled_tracks import catalog_labels, redirected_lines
from pipelines.reports.bundle_answer import bundle_answer
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import CommandFailed, UsageError, checked
from transforms.dataset.labels import dataset_labels
from transforms.dataset.manifest import DatasetError, read_manifest
from transforms.splits.by_artist import SplitRatios
from transforms.splits.track_labels import TrackLabels
from transforms.table.reader import open_snapshot
from transforms.taxonomy.hierarchy import Taxonomy, load_taxonomy


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Fits the heads and writes the bundle."""
    check_label_sources(args)
    check_writes("--output", args.output, "bundle")
    redirected: Counter[str] = Counter()
    try:
        found = _refit(args, redirected)
    except (BundleError, DatasetError) as error:
        raise CommandFailed(str(error)) from error
    counts = (
        (found.absent, f"labelled tracks have no embedding in {args.table}: left out"),
        (found.kept_out, "labelled tracks are left out by the split, or have the same bytes on two sides"),
        (found.unsplit, f"tracks are by artists that {args.model} has not seen: split like the labels' source"),
    )
    before = ["the same command has already fitted this bundle"] if found.is_old else []
    before += [f"{count} {meaning}" for count, meaning in counts if count]
    before += redirected_lines(redirected)
    return bundle_answer(args.output, found.bundle, found.metrics, before=before)


def check_label_sources(args: Arguments) -> None:
    """Refuses flags that exclude or require each other.

    Raises:
      UsageError: labels are missing or come from two places, or a flag needs --catalog.
    """
    if (args.dataset is None) == (args.catalog is None):
        raise UsageError("refit reads labels from --catalog or from --dataset: give one of them")
    if args.catalog is None and (args.taxonomy or args.split_column):
        raise UsageError("--taxonomy and --split-column need --catalog")


def _refit(args: Arguments, redirected: Counter[str]) -> RefittedBundle:
    options = head_options(args)
    snapshot = open_snapshot(args.table)
    taxonomy, labels = _labels(args, redirected)
    checked(options.precisions, taxonomy.tag_ids)
    return refit(args.model, args.output, snapshot, labels, taxonomy, options, SplitRatios())


def _labels(args: Arguments, redirected: Counter[str]) -> tuple[Taxonomy, Iterable[TrackLabels]]:
    """The taxonomy of the new heads, and the labels of tracks. Earlier ids are counted when the labels are read."""
    if args.catalog is None:
        manifest = read_manifest(args.dataset)
        redirected.update(manifest.redirected_tags)
        return manifest.taxonomy, dataset_labels(args.dataset, manifest)
    taxonomy = load_taxonomy(args.taxonomy) if args.taxonomy else load_bundle(args.model).taxonomy
    labels = catalog_labels(args.catalog, taxonomy, args.split_column, "trained", args.unknown_tags, redirected)
    return taxonomy, labels
