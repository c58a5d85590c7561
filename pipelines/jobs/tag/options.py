"""The arguments of `tag`, checked against catalog, bundle and table."""

import dataclasses
import functools
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from models.bundles.blessing import read_blessing
from models.bundles.tagger_bundle import Bundle, load_bundle
from models.bundles.trunk_bundle import BundleError
from models.trunks.loading import format_for
from pipelines.checks.sources import require_sources
from pipelines.inputs.catalog import (
    check_at_least_one,
    gate_limits,
    open_gated_catalog,
)
from pipelines.inputs.flags import Arguments
from pipelines.inputs.fusion import open_fusion
from pipelines.inputs.kinds import check_writes
from pipelines.inputs.source_roots import source_roots
from pipelines.launch.beam import (
    children_per_process,
    is_dry_run,
    is_local,
)
from pipelines.planning.canary import output_of
from pipelines.planning.job import require_accepted
from pipelines.planning.parameters import (
    kept_parameters,
    network_of_beats,
    parameters_of_run,
    rules_without_parameters,
)
from pipelines.terminal.errors import REFUSED, CommandFailed, UsageError, checked
from transforms.audio.errors import DUE_AGAIN
from transforms.catalog.reader import CatalogShard, default_root
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.spec import FeatureSpec
from transforms.fusion.settings import Fusion
from transforms.levels.writing import Compaction
from transforms.publishing import receipts
from transforms.publishing.gates import GateLimits
from transforms.publishing.gates_file import read_gates_file
from transforms.storage import SourceRoots
from transforms.table.snapshots import snapshot_numbers
from transforms.table.versions import open_table
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.changes import TableChanges, table_changes
from transforms.tagging.costs import UnitCosts, costs_of_history
from transforms.tagging.kept_rows import require_one_taxonomy
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.outcomes.unsettled import unsettled_ids
from transforms.tagging.tagger import ids_of

_log = logging.getLogger(__name__)


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
        known,
        parameters_id="" if parameters is None else parameters.parameters_id,
        parameters_due=due,
        parameters_kept=kept_parameters(parameters, args.parameters, args.loudness) if due else (),
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
