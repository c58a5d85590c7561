"""The stages of `tag`: their settings, and the graph that an engine runs."""

import functools
from collections.abc import Callable

import apache_beam as beam

from models.beats.bundle import load_beat_network
from models.bundles.tagger_bundle import load_bundle
from models.trunks.loading import load_embedder
from pipelines.jobs.tag.options import Options
from pipelines.planning.parameters import (
    recorded_parameters,
)
from pipelines.waves.tagging import TagStages
from transforms.aggregate_groups import AggregateGroups, GroupPieces
from transforms.assemble_buckets import AssembleBuckets, AssembleSettings, Buckets
from transforms.audio.limits import Limits
from transforms.embed_chunks import EmbedChunks, Embedder, EmbedSettings, EmbedTarget
from transforms.extraction.heard_beats import BeatListener
from transforms.find_duplicates import FindDuplicates
from transforms.formats.arrow import from_ipc, to_ipc
from transforms.join_sources import JoinedSources, JoinSources
from transforms.list_digests import ListDigests
from transforms.name_run import NameRun
from transforms.plan_buckets import PlanBuckets
from transforms.read_catalog import ReadCatalog
from transforms.record_run import Expectations, RecordRun, RecordRunSettings
from transforms.require_valid import RequireValid
from transforms.sort_buckets import SortBuckets
from transforms.sum_evidence import SumEvidence
from transforms.sum_work import SumWork
from transforms.table.sampling import TrackSample, rows_of_sample
from transforms.version_sources import VersionSources


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
