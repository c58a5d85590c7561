"""Tag a whole catalog and publish a snapshot of tag tables.

catalog-tagger tag --catalog catalog.parquet --model bundle --table table
"""

import argparse
import dataclasses
import functools
import itertools
import math
from typing import TYPE_CHECKING

from pipelines.inputs.catalog import (
    add_catalog_arguments,
    add_extraction_arguments,
    check_at_least_one,
    gate_limits,
    open_catalog,
)
from pipelines.terminal.errors import UsageError, checked

if TYPE_CHECKING:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from models.bundles.tagger_bundle import Bundle
    from transforms.catalog.reader import CatalogShard
    from transforms.features.spec import FeatureSpec
    from transforms.publishing.gates import GateLimits
    from transforms.tagging.assembly import PublishedRows
    from transforms.tagging.outcomes import PriorOutcomes

HELP = "Tag a catalog: extract new and changed tracks, score all of them, publish a snapshot."
BUCKET_TRACKS = 20_000
"""Tracks that a bucket should hold; the bucket count is written once, when a table is made."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `tag`."""
    add_catalog_arguments(parser)
    parser.add_argument("--model", required=True, metavar="BUNDLE", help="model bundle that `train` wrote")
    parser.add_argument("--table", required=True, help="folder or gs:// prefix of the tables")
    parser.add_argument(
        "--min-score", type=float, default=0.0, help="publish only track_tags rows of this score or more"
    )
    parser.add_argument("--top-k", type=int, help="publish only this many track_tags rows a track and category")
    parser.add_argument("--buckets", type=int, help="bucket count of a new table (default: one for 20,000 tracks)")
    parser.add_argument(
        "--inference",
        choices=("auto", "onnx", "tensorflow"),
        default="auto",
        help="what runs the trunk: ONNX Runtime is faster on processors, TensorFlow uses GPUs; auto takes ONNX Runtime "
        "where the bundle has a file for it",
    )
    parser.add_argument(
        "--also",
        nargs=2,
        action="append",
        default=[],
        metavar=("BUNDLE", "TABLE"),
        help="embed what is extracted by this bundle of the same features too: the next `tag` of this catalog with it "
        "into its own table decodes none of it; may be repeated",
    )
    parser.add_argument("--retry-rejects", action="store_true", help="try every rejected track again")
    add_extraction_arguments(parser, unit="unit of work", late="`publish` commits it later")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Also:
    """A further bundle, and the table whose next run finds its embeddings."""

    model: str
    table: str
    embedding_id: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """One run of `tag`, checked, with everything that the graph needs.

    Attributes:
      shards: the catalog's shards.
      tracks: rows of the catalog.
      inference: what runs the trunk.
      known: where earlier outcomes are.
      limits: limits of the gates.
      launch: where this launch's receipt goes, relative to the table root.
      also: other bundles that embed what is extracted.
      children: sandbox children of a worker process; 0 means one a core of the worker.
    """

    shards: "list[CatalogShard]"
    tracks: int
    catalog_root: str
    model: str
    inference: str
    known: "PriorOutcomes"
    spec: "FeatureSpec"
    publication: "PublishedRows"
    buckets: int
    chunk_tracks: int
    children: int
    limits: "GateLimits"
    launch: str
    also: "tuple[Also, ...]" = ()


def build(root: "beam.Pipeline", options: Options) -> None:
    """The whole job, top to bottom."""
    import apache_beam as beam

    from models.bundles.tagger_bundle import load_bundle
    from models.trunks.loading import load_embedder
    from transforms.assemble_buckets import AssembleBuckets, AssembleSettings, Buckets
    from transforms.audio.limits import Limits
    from transforms.embed_chunks import EmbedChunks, EmbedSettings, EmbedTarget
    from transforms.plan_buckets import PlanBuckets
    from transforms.read_catalog import ReadCatalog
    from transforms.record_run import RecordRun, RecordRunSettings
    from transforms.require_valid import RequireValid
    from transforms.sum_work import SumWork
    from transforms.version_sources import VersionSources

    known, publication = options.known, options.publication
    load_tagger = functools.partial(load_bundle, options.model)
    embed = EmbedSettings(
        target=EmbedTarget(
            root=known.root,
            embedding_id=known.ids.embedding_id,
            load_embedder=functools.partial(load_embedder, options.model, inference=options.inference),
        ),
        catalog_root=options.catalog_root,
        spec=options.spec,
        limits=Limits(),
        children=options.children,
        further=tuple(
            EmbedTarget(
                root=other.table,
                embedding_id=other.embedding_id,
                load_embedder=functools.partial(load_embedder, other.model, inference=options.inference),
            )
            for other in options.also
        ),
    )
    assemble = AssembleSettings(known=known, load_tagger=load_tagger, publication=publication)
    record = RecordRunSettings(
        known=known,
        load_tagger=load_tagger,
        publication=publication,
        limits=options.limits,
        launch=options.launch,
    )

    catalog = root | "ReadCatalog" >> ReadCatalog(options.shards)
    versioned = catalog.batches | "VersionSources" >> VersionSources(options.catalog_root)
    plan = versioned | "PlanBuckets" >> PlanBuckets(known, options.buckets, options.chunk_tracks)
    problems = (catalog.problems, plan.problems) | "JoinProblems" >> beam.Flatten()
    chunks = plan.chunks | "HoldChunks" >> RequireValid(problems)
    rows = plan.rows | "HoldRows" >> RequireValid(problems)
    embedded = chunks | "EmbedChunks" >> EmbedChunks(embed)
    done = Buckets(rows, embedded.parts) | "AssembleBuckets" >> AssembleBuckets(assemble)
    work = (embedded.work, done.work) | "SumWork" >> SumWork()
    _ = (done.reports, embedded.parts, problems, work, done.run_id) | "RecordRun" >> RecordRun(record)


def run(args: argparse.Namespace, beam_args: list[str]) -> int:
    """Plans, runs the job, publishes; returns the exit code."""
    from pipelines.launch.beam import check_beam_places, is_dry_run, new_pipeline, parse_beam_args, run_pipeline

    beam_options = parse_beam_args(beam_args, "tag")
    check_beam_places(
        beam_options, catalog=args.catalog, catalog_root=args.catalog_root, model=args.model, table=args.table
    )
    for place in itertools.chain(*args.also):
        check_beam_places(beam_options, also=place)
    options = make_options(args, beam_options)
    root = new_pipeline(beam_options)
    build(root, options)
    first = options.known.parent is None
    run_pipeline(root, wait=not args.no_wait, tracks=options.tracks if first else None)
    if is_dry_run(beam_options):
        return 0
    if args.no_wait:
        print(f"launched; when the job has ended: catalog-tagger publish {args.table}")
        return 0
    return _finish(args.table, options.launch, options.limits)


def make_options(args: argparse.Namespace, beam_options: "PipelineOptions") -> Options:
    """Checks the arguments against catalog, bundle and table.

    Raises:
      UsageError: a value out of its range.
      CommandFailed: catalog, bundle or table cannot be read.
    """
    from models.bundles.tagger_bundle import load_bundle
    from models.trunks.loading import format_for
    from pipelines.launch.beam import children_per_process
    from transforms.publishing import receipts
    from transforms.tagging.assembly import PublishedRows

    limits = gate_limits(args)
    publication = checked(PublishedRows, min_score=args.min_score, top_k=args.top_k)
    check_at_least_one(chunk_tracks=args.chunk_tracks, buckets=args.buckets)
    bundle = load_bundle(args.model)
    for trunk in bundle.trunks:
        format_for(trunk, args.model, args.inference)
    shards, count = open_catalog(args.catalog, args.catalog_root)
    buckets = _buckets(args, count)
    return Options(
        shards=shards,
        tracks=count,
        catalog_root=shards[0].root,
        model=args.model,
        inference=args.inference,
        known=_known(args, bundle),
        spec=bundle.spec,
        publication=publication,
        buckets=buckets,
        chunk_tracks=args.chunk_tracks,
        children=children_per_process(beam_options),
        limits=limits,
        launch=receipts.new_path(),
        also=_all_also(args, bundle, buckets),
    )


def _buckets(args: argparse.Namespace, tracks: int) -> int:
    from transforms.table.versions import open_table

    buckets = open_table(args.table, args.buckets or math.ceil(tracks / BUCKET_TRACKS))
    if args.buckets not in (None, buckets):
        raise UsageError(f"--buckets={args.buckets}: {args.table} was made with {buckets}: leave the flag out")
    return buckets


def _all_also(args: argparse.Namespace, bundle: "Bundle", buckets: int) -> tuple[Also, ...]:
    """Every `--also`, checked.

    Raises:
      UsageError: one cannot be, or a table would get the same embeddings twice.
    """
    given = {(args.table.rstrip("/"), bundle.embedding_id)}
    found = []
    for model, table in args.also:
        other = _also(args, bundle.feature_id, model, table, buckets)
        if (place := (table.rstrip("/"), other.embedding_id)) in given:
            raise UsageError(f"--also {model} {table}: that table gets these embeddings already: name it once")
        given.add(place)
        found.append(other)
    return tuple(found)


def _also(args: argparse.Namespace, feature_id: str, model: str, table: str, buckets: int) -> Also:
    """One `--also`, checked.

    Raises:
      UsageError: it cannot share what is extracted, or its runs would not look where part files are put.
    """
    from models.bundles.tagger_bundle import load_bundle
    from models.trunks.loading import format_for
    from transforms.table.versions import open_table

    bundle = load_bundle(model)
    if bundle.feature_id != feature_id:
        raise UsageError(f"--also {model} takes features {bundle.feature_id}, not {feature_id}: tag with it alone")
    for trunk in bundle.trunks:
        format_for(trunk, model, args.inference)
    if (found := open_table(table, buckets)) != buckets:
        raise UsageError(f"--also: {table} has {found} buckets, {args.table} has {buckets}: tag with it alone")
    return Also(model=model, table=table, embedding_id=bundle.embedding_id)


def _known(args: argparse.Namespace, bundle: "Bundle") -> "PriorOutcomes":
    from transforms.audio.errors import DUE_AGAIN
    from transforms.table.snapshots import snapshot_numbers
    from transforms.tagging.outcomes import PriorOutcomes
    from transforms.tagging.tagger import ids_of

    numbers = snapshot_numbers(args.table)
    return PriorOutcomes(
        root=args.table,
        parent=numbers[-1] if numbers else None,
        ids=ids_of(bundle),
        due_again=DUE_AGAIN,
        retry_rejects=args.retry_rejects,
    )


def _finish(table: str, launch: str, limits: "GateLimits") -> int:
    """Reads the launch's receipt and publishes the run that it names."""
    from pipelines.publish import publish_receipt
    from transforms.publishing import receipts

    receipt = receipts.read(table, launch)
    if receipt.problem_count:  # told now, and nothing that `publish` could mend
        receipts.forget(table, launch)
    code = publish_receipt(table, receipt, limits)
    receipts.forget(table, launch)  # no other: another launch may be about to read its own
    return code
