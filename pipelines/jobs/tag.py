"""Tags a whole catalog and publishes a snapshot of tag tables.

catalog-tagger tag --catalog catalog.parquet --model bundle --table table
"""

import contextlib
import dataclasses
import functools
import itertools
import logging
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from models.beats.bundle import load_beat_network
from models.bundles.blessing import read_blessing
from models.bundles.tagger_bundle import Bundle, load_bundle
from models.bundles.trunk_bundle import BundleError
from models.trunks.loading import format_for, load_embedder
from pipelines.checks.engine import require_engine
from pipelines.checks.limits import require_limits
from pipelines.checks.sources import require_sources
from pipelines.inputs.catalog import (
    check_at_least_one,
    gate_limits,
    open_gated_catalog,
)
from pipelines.inputs.flags import Arguments
from pipelines.inputs.fusion import open_fusion, source_places
from pipelines.inputs.kinds import check_writes
from pipelines.inputs.source_roots import source_roots
from pipelines.jobs.publish import publish_receipt, race_lost, unfinished
from pipelines.launch.beam import (
    check_beam_places,
    children_per_process,
    dry_run_answer,
    is_dry_run,
    is_local,
    new_pipeline,
    parse_beam_args,
    run_pipeline,
    worker_threads,
)
from pipelines.planning.budget import choice_of_run
from pipelines.planning.canary import SampleSize, compared_sample, draw_sample, output_of, remove_output
from pipelines.planning.catalog import CatalogProblems
from pipelines.planning.job import MOST_THREADS, check_part_flags, check_plan_flags, planned, require_accepted
from pipelines.planning.parameters import (
    network_of_beats,
    parameters_of_run,
    recorded_parameters,
    rules_without_parameters,
)
from pipelines.planning.prices import Prices
from pipelines.reports.canary_answer import canary_answer
from pipelines.reports.run_reporter import RunReporter
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import REFUSED, CommandFailed, UsageError, checked
from pipelines.waves.tagging import TagStages, tag_in_waves
from transforms.aggregate_groups import AggregateGroups, GroupPieces
from transforms.assemble_buckets import AssembleBuckets, AssembleSettings, Buckets
from transforms.audio.errors import DUE_AGAIN
from transforms.audio.limits import Limits
from transforms.catalog.reader import CatalogShard, default_root
from transforms.embed_chunks import EmbedChunks, Embedder, EmbedSettings, EmbedTarget
from transforms.extraction.heard_beats import BeatListener
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.spec import FeatureSpec
from transforms.find_duplicates import FindDuplicates
from transforms.formats.arrow import from_ipc, to_ipc
from transforms.fusion.settings import Fusion
from transforms.join_sources import JoinedSources, JoinSources
from transforms.levels.writing import Compaction
from transforms.list_digests import ListDigests
from transforms.maintenance.run_leases import held_for_run
from transforms.name_run import NameRun
from transforms.plan_buckets import PlanBuckets
from transforms.publishing import receipts
from transforms.publishing.audit import RaceLost, run_facts
from transforms.publishing.finished import open_run
from transforms.publishing.gates import GateLimits
from transforms.publishing.gates_file import read_gates_file
from transforms.publishing.judging import judge
from transforms.publishing.source_rows import LostSourceRows, read_source_rows, require_source_rows
from transforms.read_catalog import ReadCatalog
from transforms.record_run import Expectations, RecordRun, RecordRunSettings
from transforms.require_valid import RequireValid
from transforms.sort_buckets import SortBuckets
from transforms.storage import SourceRoots
from transforms.sum_evidence import SumEvidence
from transforms.sum_work import SumWork
from transforms.table.sampling import TrackSample, rows_of_sample
from transforms.table.snapshots import snapshot_numbers
from transforms.table.versions import open_table
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.changes import TableChanges, table_changes
from transforms.tagging.choice import Budget
from transforms.tagging.costs import UnitCosts, costs_of_history
from transforms.tagging.kept_rows import require_one_taxonomy
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.outcomes.unsettled import unsettled_ids
from transforms.tagging.tagger import ids_of
from transforms.telemetry.phases import phase
from transforms.version_sources import VersionSources

_log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 30.0
"""Longest pause before a run that was not published first is planned again."""

BUCKET_TRACKS = 20_000
"""Target number of tracks per bucket. The bucket count is written once, when a table is created."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Also:
    """A further bundle, and the table whose next run reuses its embeddings."""

    model: str
    table: str
    embedding_id: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """One run of `tag`, checked, with everything that the graph needs.

    Attributes:
      shards: the catalog's shards.
      tracks: rows of the catalog.
      roots: where relative uris start, and where sources may be.
      inference: library that runs the trunk.
      known: outcomes of earlier runs.
      limits: limits of the gates.
      launch: path of this launch's receipt, relative to the table root.
      units: costs of a track in earlier runs.
      changes: what the run changes in the table; None for a table without snapshots.
      budget: how the tracks of a run with a budget were chosen, see `TrackChoice.to_json`; None for other runs.
      allow_weak_sandbox: whether audio is decoded if seccomp is missing.
      also: other bundles that embed the extracted tracks.
      children: sandboxed child processes per worker process, and batches of a trunk at the same time; 0 means one per
        core of the worker.
      fusion: the sources; None in a run without sources.
      parameters: how parameters of tracks are measured; None: they are not.
      beats: the bundle with the network of beats; None if there is none.
    """

    shards: list[CatalogShard]
    tracks: int
    roots: SourceRoots
    model: str
    inference: str
    known: PriorOutcomes
    spec: FeatureSpec
    publication: PublishedRows
    buckets: int
    chunk_tracks: int
    children: int
    limits: GateLimits
    launch: str
    units: UnitCosts = dataclasses.field(default_factory=UnitCosts)
    changes: TableChanges | None = None
    budget: Mapping[str, Any] | None = None
    allow_weak_sandbox: bool = False
    also: tuple[Also, ...] = ()
    fusion: Fusion | None = None
    parameters: ParametersSpec | None = None
    beats: str | None = None


def stages_of(options: Options) -> TagStages:
    """The settings of all stages."""
    known, publication = options.known, options.publication
    load_tagger = functools.partial(load_bundle, options.model)

    def embedder_of(model: str) -> Callable[[], Embedder]:
        return functools.partial(load_embedder, model, inference=options.inference, parallel=options.children)

    embed = EmbedSettings(
        target=EmbedTarget(
            root=known.root,
            embedding_id=known.ids.embedding_id,
            load_embedder=embedder_of(options.model),
        ),
        roots=options.roots,
        spec=options.spec,
        limits=Limits(allow_weak_sandbox=options.allow_weak_sandbox),
        children=options.children,
        parameters=options.parameters,
        load_beats=_loader_of_beats(options),
        further=tuple(
            EmbedTarget(
                root=other.table,
                embedding_id=other.embedding_id,
                load_embedder=embedder_of(other.model),
            )
            for other in options.also
        ),
    )
    return TagStages(
        shards=options.shards,
        buckets=options.buckets,
        chunk_tracks=options.chunk_tracks,
        embed=embed,
        assemble=AssembleSettings(
            known=known,
            load_tagger=load_tagger,
            publication=publication,
            policy=None if options.fusion is None else options.fusion.policy,
        ),
        record=RecordRunSettings(
            known=known,
            load_tagger=load_tagger,
            publication=publication,
            counted=options.tracks,
            limits=options.limits,
            launch=options.launch,
            expectations=Expectations(units=options.units, bundles=1 + len(options.also), budget=options.budget),
            fusion=options.fusion,
            parameters=recorded_parameters(options.parameters),
        ),
        fusion=options.fusion,
    )


def _loader_of_beats(options: Options) -> Callable[[], BeatListener] | None:
    if options.parameters is None or options.parameters.beats is None or options.beats is None:
        return None
    beats_id = options.parameters.beats.beats_id
    return functools.partial(load_beat_network, options.beats, beats_id, parallel=options.children)


def build(root: beam.Pipeline, options: Options) -> None:
    """Builds the graph of the whole job. Local runs use the same stages in waves, see `tag_in_waves`."""
    known, stages = options.known, stages_of(options)
    catalog = root | "ReadCatalog" >> ReadCatalog(options.shards)
    versioned = _taken(catalog.batches, known.sample) | "VersionSources" >> VersionSources(options.roots)
    sorted_rows = versioned | "SortBuckets" >> SortBuckets(options.buckets)
    sources = _joined(sorted_rows, options)
    sorted_rows = sources.rows if sources else sorted_rows
    further = (sources.problems,) if sources else ()
    plan = sorted_rows | "PlanBuckets" >> PlanBuckets(known, options.roots, options.chunk_tracks)
    problems = (catalog.problems, *further, plan.problems) | "JoinProblems" >> beam.Flatten()
    chunks = plan.chunks | "HoldChunks" >> RequireValid(problems)
    rows = sorted_rows | "HoldRows" >> RequireValid(problems)
    embedded = chunks | "EmbedChunks" >> EmbedChunks(stages.embed)
    parts = embedded.parts | "KeyParts" >> beam.Map(lambda entry: (entry.bucket, entry.url))
    ready = {"rows": rows, "parts": parts} | "AwaitParts" >> beam.CoGroupByKey()
    digests = ready | "ListDigests" >> ListDigests(known)
    run_id = _with_digest(digests.outcomes, sources) | "NameRun" >> NameRun(known, options.publication)
    groups = {"rows": rows, "parts": parts, "duplicates": digests.sources | "FindDuplicates" >> FindDuplicates()}
    joined = groups | "JoinBuckets" >> beam.CoGroupByKey()
    done = Buckets(joined, run_id) | "AssembleBuckets" >> AssembleBuckets(stages.assemble)
    aggregated = GroupPieces(done.groups, run_id) | "AggregateGroups" >> AggregateGroups(stages.assemble)
    work = (plan.work, embedded.work, done.work, aggregated.work) | "SumWork" >> SumWork()
    evidence = done.evidence | "SumEvidence" >> SumEvidence()
    results = (done.reports, aggregated.files, embedded.parts, problems, work, evidence, run_id)
    _ = (*results, *((sources.tally,) if sources else ())) | "RecordRun" >> RecordRun(stages.record)


def _joined(rows: beam.PCollection[tuple[int, bytes]], options: Options) -> JoinedSources | None:
    """The rows with what sources say; None in a run without sources."""
    if options.fusion is None:
        return None
    found: JoinedSources = rows | "JoinSources" >> JoinSources(options.fusion, options.buckets)
    return found


def _taken(batches: beam.PCollection[bytes], sample: TrackSample | None) -> beam.PCollection[bytes]:
    """The batches of the catalog, with the rows of the sample alone if there is one."""
    return batches if sample is None else batches | "TakeSample" >> beam.Map(_sampled, sample)


def _sampled(batch: bytes, sample: TrackSample) -> bytes:
    return to_ipc(rows_of_sample(from_ipc(batch), sample).combine_chunks())


def _with_digest(outcomes: beam.PCollection[str], sources: JoinedSources | None) -> beam.PCollection[str]:
    """The digests of the buckets, and that of what the run records about its sources."""
    if sources is None:
        return outcomes
    found: beam.PCollection[str] = (outcomes, sources.digest) | "JoinDigests" >> beam.Flatten()
    return found


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Plans and runs the job, and publishes its run; plans again if another run was published first."""
    beam_options = parse_beam_args(beam_args, "tag")
    check_beam_places(
        beam_options, catalog=args.catalog, catalog_root=args.catalog_root, model=args.model, table=args.table
    )
    for place in itertools.chain(*args.also):
        check_beam_places(beam_options, also=place)
    for place in source_places(args.source).values():
        check_beam_places(beam_options, source=place)
    if args.beats not in (None, "none"):
        check_beam_places(beam_options, beats=args.beats)
    for place in args.allow_root:
        check_beam_places(beam_options, allow_root=place)
    check_plan_flags(args, beam_options)
    check_part_flags(args, dry_run=is_dry_run(beam_options))
    if args.plan:
        with _usable_sources():
            return _planned(args, beam_options)
    require_engine(beam_options)
    if is_dry_run(beam_options):
        return _run_once(args, beam_options, _reporter(args))
    reporter = _reporter(args)
    with reporter.following(), _usable_sources():
        return _run_until_published(args, beam_options, reporter)


@contextlib.contextmanager
def _usable_sources() -> Iterator[None]:
    """Turns `LostSourceRows` into the refusal of a gate."""
    try:
        yield
    except LostSourceRows as lost:
        raise CommandFailed(f"nothing was tagged: {lost}", REFUSED) from lost


def _reporter(args: Arguments) -> RunReporter:
    priced = None if args.prices is None else Prices.load(args.prices).of
    facts = {"catalog": args.catalog, "catalog_root": args.catalog_root, "model": args.model}
    told = {name: value for name, value in facts.items() if value is not None}
    return RunReporter(args.table, facts=told, priced=priced)


def _run_until_published(args: Arguments, beam_options: PipelineOptions, reporter: RunReporter) -> Answer:
    deadline = time.monotonic() + args.publish_deadline
    for attempt in itertools.count():
        try:
            return _run_once(args, beam_options, reporter)
        except RaceLost as lost:
            pause = random.uniform(0, min(LONGEST_PAUSE_S, 2**attempt))
            if time.monotonic() + pause > deadline:
                raise race_lost(lost) from lost
            _log.warning("another run was published first: planning again, with all finished work, in %.1f s", pause)
            time.sleep(pause)
    raise AssertionError("unreachable")


def _run_once(args: Arguments, beam_options: PipelineOptions, reporter: RunReporter) -> Answer:
    """Plans on the newest snapshot, runs the job, publishes its run, and writes its report.

    Raises:
      RaceLost: another run was published since this one was planned.
    """
    if is_local(beam_options):
        require_limits()
    with phase("opening catalog, bundle and table"):
        options = make_options(args, beam_options)
    with held_for_run(
        [args.table, *(other.table for other in options.also)],
        options.launch,
        options.known.parent,
        detached=args.no_wait,
        elsewhere=not is_local(beam_options),
        dry_run=is_dry_run(beam_options),
    ):
        if args.sample is not None:
            return _launch_sample(args, options, beam_options, reporter)
        if args.max_core_hours is not None and not is_dry_run(beam_options):
            options = _within_budget(args, options, beam_options)
        return _launch(args, options, beam_options, reporter)


def _within_budget(args: Arguments, options: Options, beam_options: PipelineOptions) -> Options:
    """The options with the choice of the tracks that the budget allows. A catalog with problems is reported later."""
    threads = min(worker_threads(beam_options), MOST_THREADS)
    try:
        budget = Budget(max_core_hours=args.max_core_hours, first=args.first)
        with phase("choosing tracks within the budget"):
            made = choice_of_run(stages_of(options), budget, options.launch, threads)
    except CatalogProblems:
        return options
    known = dataclasses.replace(options.known, choice=made.choice)
    return dataclasses.replace(options, known=known, budget=made.facts.to_json())


def _launch_sample(args: Arguments, options: Options, beam_options: PipelineOptions, reporter: RunReporter) -> Answer:
    """Runs the job over a sample, and compares the result with the last snapshot. Nothing is published."""
    output = options.known.written_to
    try:
        options = _with_sample(args, options)
        _run_job(args, options, beam_options)
        receipt = receipts.read(output, options.launch)
        if receipt.run_id is None:
            raise reporter.told(unfinished(receipt), receipt)
        sampled, before = open_run(output, receipt.run_id), options.known.snapshot
        results = judge(run_facts(output, sampled.manifest.run, hashed=False), options.limits)
        comparison = None if before is None else compared_sample(before, sampled)
        return canary_answer(args.table, sampled, results, receipt, comparison, reporter)
    finally:
        remove_output(output)


def _with_sample(args: Arguments, options: Options) -> Options:
    sample = draw_sample(stages_of(options), SampleSize.parse(args.sample))
    known = dataclasses.replace(options.known, sample=sample)
    return dataclasses.replace(options, known=known, tracks=sample.tracks)


def _launch(args: Arguments, options: Options, beam_options: PipelineOptions, reporter: RunReporter) -> Answer:
    """Runs the planned job, and publishes its run."""
    _run_job(args, options, beam_options)
    if is_dry_run(beam_options):
        return dry_run_answer(beam_options)
    if args.no_wait:
        text = f"launched; after the job has ended, run: catalog-tagger publish {args.table}"
        return Answer(text=text, document={"table": args.table, "launched": True})
    return _finish(args.table, options.launch, options.limits, reporter)


def _run_job(args: Arguments, options: Options, beam_options: PipelineOptions) -> None:
    if is_local(beam_options) and not is_dry_run(beam_options):
        tag_in_waves(stages_of(options), beam_options)
    else:
        if options.fusion is not None and not is_dry_run(beam_options):
            with phase("reading sources"):
                require_source_rows(read_source_rows(options.fusion), options.fusion, options.limits)
        root = new_pipeline(beam_options)
        build(root, options)
        run_pipeline(root, wait=not args.no_wait)


def _planned(args: Arguments, beam_options: PipelineOptions) -> Answer:
    """What a run would do and cost."""
    require_limits()
    prices = None if args.prices is None else Prices.load(args.prices)
    options = make_options(args, beam_options)
    if args.sample is not None:
        options = _with_sample(args, options)
    also = [{"model": one.model, "table": one.table} for one in options.also]
    return planned(args, beam_options, stages_of(options), also=also, changes=options.changes, prices=prices)


def make_options(args: Arguments, beam_options: PipelineOptions) -> Options:
    """Checks the arguments against catalog, bundle and table.

    Raises:
      UsageError: a value is out of its range.
      CommandFailed: catalog, bundle or table cannot be read.
    """
    for flag, table in (("--table", args.table), *(("--also", table) for _, table in args.also)):
        check_writes(flag, table, "table")
    gates_file = read_gates_file(args.table)
    limits = gate_limits(args, gates_file)
    publication = checked(PublishedRows, min_score=args.min_score, top_k=args.top_k)
    check_at_least_one(chunk_tracks=args.chunk_tracks, buckets=args.buckets, workers=args.workers, measure=args.measure)
    bundle = load_bundle(args.model)
    if args.require_blessed or gates_file.require_blessed:
        _require_blessed(args.model)
    for trunk in bundle.trunks:
        format_for(trunk, args.model, args.inference)
    fusion = open_fusion(args.fusion, args.source, bundle.taxonomy)
    shards, count = open_gated_catalog(args.catalog, args.catalog_root)
    dry_run, roots = args.plan or is_dry_run(beam_options), source_roots(args.allow_root, shards)
    buckets = _buckets(args, count, dry_run=True)
    known = _known(args, bundle, buckets)
    parameters, due = parameters_of_run(
        args.parameters, args.loudness, known.snapshot, beats=args.beats, network=network_of_beats(args.beats)
    )
    known = dataclasses.replace(
        known, parameters_id="" if parameters is None else parameters.parameters_id, parameters_due=due
    )
    if not known.has_parameters and (lost := rules_without_parameters(bundle.taxonomy)) is not None:
        _log.warning("%s", lost)
    if not is_dry_run(beam_options):
        needed = functools.partial(unsettled_ids, known, buckets=buckets)
        _require_sources(args, shards, roots, needed, local=is_local(beam_options))
    policy = None if fusion is None else fusion.policy
    changes = None if known.snapshot is None else table_changes(known.snapshot, bundle, publication, policy)
    if args.max_core_hours is not None:
        _require_kept_rows(args, known, publication)
    if not args.plan:
        require_accepted(args.table, args.model, changes, accepted=args.accept_changes)
    buckets = _buckets(args, count, dry_run)  # only now, a table that does not exist is created
    if buckets != known.buckets:  # by another launch, meanwhile
        known = dataclasses.replace(known, buckets=buckets)
    if args.sample is not None and not dry_run:
        known = dataclasses.replace(known, output=output_of(args.table))
        open_table(known.written_to, buckets)
    return Options(
        shards=shards,
        tracks=count,
        roots=roots,
        model=args.model,
        inference=args.inference,
        known=known,
        spec=bundle.spec,
        publication=publication,
        buckets=buckets,
        chunk_tracks=args.chunk_tracks,
        children=children_per_process(beam_options),
        limits=limits,
        launch=receipts.OF_DRY_RUN if dry_run else receipts.begin(known.written_to, known.parent),
        units=costs_of_history(args.table, snapshot_numbers(args.table), known.ids, known.parameters_id),
        changes=changes,
        allow_weak_sandbox=args.allow_weak_sandbox,
        also=_all_also(args, bundle, buckets, dry_run),
        fusion=fusion,
        parameters=parameters,
        beats=args.beats,
    )


def _require_kept_rows(args: Arguments, known: PriorOutcomes, publication: PublishedRows) -> None:
    """Refuses a budget if the rows that the run keeps could not be beside its own.

    Raises:
      UsageError: the last snapshot has rows of another trunk, and another taxonomy or other options.
    """
    if known.snapshot is None:
        return
    if (why := require_one_taxonomy(known.snapshot.manifest.run, known.ids, publication)) is not None:
        raise UsageError(
            f"--max-core-hours: tracks that the run does not reach keep their rows of snapshot {known.parent}, but "
            f"{why}: first tag with the bundle of that snapshot, refitted to this taxonomy, and with these options, "
            "which decodes nothing; or leave --max-core-hours out"
        )


def _require_blessed(model: str) -> None:
    """Refuses a bundle that `evaluate --bless` has not blessed.

    Raises:
      CommandFailed: the bundle has no blessing, or that of another bundle.
    """
    try:
        read_blessing(model)
    except BundleError as error:
        raise CommandFailed(f"nothing was tagged: gate blessed: {error}", REFUSED) from error


def _require_sources(
    args: Arguments,
    shards: list[CatalogShard],
    roots: SourceRoots,
    needed: Callable[[pa.Table], Iterator[str]],
    *,
    local: bool,
) -> None:
    """Ends a run that would reject every track that it reads.

    Raises:
      UsageError: none of the sources is there.
    """
    refuse = args.max_reject_ratio < 1 and (local or "://" in roots.catalog_root)
    require_sources(shards, roots, default_root=default_root(args.catalog), refuse=refuse, needed=needed)


def _buckets(args: Arguments, tracks: int, dry_run: bool) -> int:
    buckets = open_table(args.table, args.buckets or math.ceil(tracks / BUCKET_TRACKS), create=not dry_run)
    if args.buckets not in (None, buckets):
        raise UsageError(f"--buckets={args.buckets}: {args.table} has {buckets} buckets: leave the flag out")
    return buckets


def _all_also(args: Arguments, bundle: Bundle, buckets: int, dry_run: bool) -> tuple[Also, ...]:
    """Checks and returns every `--also`.

    Raises:
      UsageError: one is refused by `_also`, or a table would get the same embeddings twice.
    """
    given = {(args.table.rstrip("/"), bundle.embedding_id)}
    also = []
    for model, table in args.also:
        other = _also(args, bundle.feature_id, model, table, open_table(table, buckets, create=not dry_run), buckets)
        if (place := (table.rstrip("/"), other.embedding_id)) in given:
            raise UsageError(f"--also {model} {table}: that table already gets these embeddings: give it once")
        given.add(place)
        also.append(other)
    return tuple(also)


def _also(args: Arguments, feature_id: str, model: str, table: str, found: int, buckets: int) -> Also:
    """Checks and returns one `--also`.

    Raises:
      UsageError: the bundle takes other features, or the table has another number of buckets.
    """
    bundle = load_bundle(model)
    if bundle.feature_id != feature_id:
        raise UsageError(f"--also {model} takes features {bundle.feature_id}, not {feature_id}: tag with it alone")
    for trunk in bundle.trunks:
        format_for(trunk, model, args.inference)
    if found != buckets:
        raise UsageError(f"--also: {table} has {found} buckets, {args.table} has {buckets}: tag with it alone")
    return Also(model=model, table=table, embedding_id=bundle.embedding_id)


def _known(args: Arguments, bundle: Bundle, buckets: int) -> PriorOutcomes:
    numbers = snapshot_numbers(args.table)
    return PriorOutcomes(
        root=args.table,
        parent=numbers[-1] if numbers else None,
        ids=ids_of(bundle),
        due_again=DUE_AGAIN,
        retry_rejects=args.retry_rejects,
        buckets=buckets,
        dim=bundle.embedding_dim,
        compare_bytes=not args.also,  # the other table needs the embedding
        compaction=Compaction(share=args.compact_share, full=args.compact),
    )


def _finish(table: str, launch: str, limits: GateLimits, reporter: RunReporter) -> Answer:
    """Reads the launch's receipt and publishes the run that it names."""
    receipt = receipts.read(table, launch)
    if receipt.run_id is None:  # reported below; `publish` cannot fix this
        receipts.forget(table, launch)
    try:
        published = publish_receipt(table, receipt, limits, reporter)
    except RaceLost:  # its run follows an older snapshot for good: `publish` is not to find it
        receipts.forget(table, launch)
        raise
    receipts.forget(table, launch)  # only this one: another launch may still need its own
    return published
