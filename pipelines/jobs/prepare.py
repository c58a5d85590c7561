"""Makes training data: TFRecord shards and `dataset.json` from a catalog and its audio.

catalog-tagger prepare --catalog catalog.parquet --taxonomy taxonomy.yaml --output dataset
"""

import dataclasses
import math

import apache_beam as beam

from models.bundles.trunk_bundle import load_trunks
from pipelines.checks.engine import require_engine
from pipelines.checks.limits import require_limits
from pipelines.checks.sources import require_sources
from pipelines.inputs.catalog import (
    check_at_least_one,
    check_split_column,
    gate_limits,
    open_catalog,
    split_ratios,
)
from pipelines.inputs.feature_spec import read_feature_spec
from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.inputs.source_roots import source_roots
from pipelines.launch.beam import (
    check_beam_places,
    children_per_process,
    dry_run_answer,
    is_dry_run,
    is_local,
    new_pipeline,
    parse_beam_args,
    run_pipeline,
)
from pipelines.reports.rejects import refused_dataset_lines
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import REFUSED, CommandFailed, UsageError
from pipelines.waves.preparing import PrepareStages, prepare_in_waves
from transforms import storage
from transforms.audio.limits import Limits
from transforms.catalog.reader import CatalogShard, default_root, read_shard
from transforms.count_groups import CountGroups
from transforms.dataset.manifest import DATASET_FILE, DatasetError, DatasetManifest, read_manifest
from transforms.dataset.plan import SplitPlan, add_digests, rows_digest
from transforms.dataset.shards import ShardSettings
from transforms.digest_catalog import DigestCatalog
from transforms.features.spec import FeatureSpec
from transforms.publishing import receipts
from transforms.publishing.gates import GateLimits
from transforms.read_catalog import ReadCatalog
from transforms.record_dataset import RecordDataset, RecordDatasetSettings
from transforms.require_valid import RequireValid
from transforms.settle_ties import SettleTies
from transforms.split_tracks import SplitTracks
from transforms.storage import SourceRoots
from transforms.sum_work import SumWork
from transforms.taxonomy.hierarchy import load_taxonomy
from transforms.telemetry.phases import phase
from transforms.version_sources import VersionSources
from transforms.write_examples import WriteExamples, WriteSettings

BUCKET_ROWS = 1024
"""Target number of catalog rows per bucket; the rows of a bucket are planned together."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """One run of `prepare`, checked, with everything that the graph needs.

    Attributes:
      shards: the catalog's shards.
      roots: where relative uris start, and where sources may be.
      tracks: rows of the catalog.
      output: folder of the dataset.
      spec: feature spec of the patches.
      plan: taxonomy, split and chunks.
      limits: limits of the gates.
      buckets: number of groups in which rows are planned.
      launch: path of this launch's receipt, relative to the dataset.
      allow_weak_sandbox: whether audio is decoded if seccomp is missing.
      children: sandboxed child processes per worker process; 0 means one per core of the worker.
    """

    shards: list[CatalogShard]
    roots: SourceRoots
    tracks: int
    output: str
    spec: FeatureSpec
    plan: SplitPlan
    limits: GateLimits
    buckets: int
    launch: str = receipts.OF_DRY_RUN
    allow_weak_sandbox: bool = False
    children: int = 0


def stages_of(options: Options) -> PrepareStages:
    """The settings of all stages."""
    shards = ShardSettings(dataset=options.output, spec=options.spec, taxonomy=options.plan.taxonomy)
    write = WriteSettings(
        shards=shards,
        roots=options.roots,
        limits=Limits(allow_weak_sandbox=options.allow_weak_sandbox),
        children=options.children,
    )
    record = RecordDatasetSettings(
        shards=shards, plan=options.plan, counted=options.tracks, limits=options.limits, launch=options.launch
    )
    return PrepareStages(shards=options.shards, groups=options.buckets, write=write, record=record)


def build(root: beam.Pipeline, options: Options) -> None:
    """Builds the graph of the whole job. Local runs use the same stages in waves, see `prepare_in_waves`."""
    stages = stages_of(options)
    catalog = root | "ReadCatalog" >> ReadCatalog(options.shards)
    digest = catalog.batches | "DigestCatalog" >> DigestCatalog(options.plan.column)
    versioned = catalog.batches | "VersionSources" >> VersionSources(options.roots)
    planned = versioned | "SplitTracks" >> SplitTracks(options.plan, options.roots, options.buckets)
    problems = (catalog.problems, planned.problems) | "JoinProblems" >> beam.Flatten()
    chunks = planned.chunks | "HoldChunks" >> RequireValid(problems)
    written = chunks | "WriteExamples" >> WriteExamples(stages.write)
    settled = written.reports | "SettleTies" >> SettleTies(stages.write.shards)
    groups = chunks | "CountGroups" >> CountGroups()
    work = (planned.work, written.work, settled.work) | "SumWork" >> SumWork()
    inputs = (settled.reports, groups, planned.left_out, problems, work, digest)
    _ = inputs | "RecordDataset" >> RecordDataset(stages.record)


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Plans and runs the job, and reports its result."""
    beam_options = parse_beam_args(beam_args, "prepare")
    check_beam_places(beam_options, catalog=args.catalog, catalog_root=args.catalog_root, output=args.output)
    for place in args.allow_root:
        check_beam_places(beam_options, allow_root=place)
    require_engine(beam_options)
    with phase("opening the catalog"):
        options = make_options(args)
    if (finished := _finished(options)) is not None:
        return _answer(finished, options.output, f"{options.output} is already finished, nothing to do\n")

    if is_local(beam_options):
        require_limits()
    if not is_dry_run(beam_options):
        _require_sources(args, options, local=is_local(beam_options))
        options = dataclasses.replace(options, launch=receipts.begin(args.output))
    options = dataclasses.replace(options, children=children_per_process(beam_options))
    if is_local(beam_options) and not is_dry_run(beam_options):
        prepare_in_waves(stages_of(options), beam_options)
    else:
        root = new_pipeline(beam_options)
        build(root, options)
        run_pipeline(root, wait=not args.no_wait)
    if is_dry_run(beam_options):
        return dry_run_answer(beam_options)
    if args.no_wait:
        text = f"launched; the dataset is finished when {options.output}/dataset.json exists"
        return Answer(text=text, document={"dataset": options.output, "launched": True})
    return _report(options)


def _require_sources(args: Arguments, options: Options, *, local: bool) -> None:
    """Ends a run whose labelled tracks would all be rejected.

    Raises:
      UsageError: none of the sources is there.
    """
    refuse = args.max_reject_ratio < 1 and (local or "://" in options.roots.catalog_root)
    base = default_root(args.catalog)
    require_sources(options.shards, options.roots, default_root=base, labelled=True, refuse=refuse)


def make_options(args: Arguments) -> Options:
    """Checks the arguments against catalog and taxonomy.

    Raises:
      UsageError: a value is out of its range, or a column does not exist.
      CatalogError, TaxonomyError: catalog or taxonomy cannot be read.
      CommandFailed: the feature spec cannot be read, or the catalog has no rows.
    """
    check_at_least_one(chunk_tracks=args.chunk_tracks)
    check_writes("--output", args.output, "dataset")
    ratios, limits = split_ratios(args), gate_limits(args)
    taxonomy, spec = load_taxonomy(args.taxonomy), _spec(args.feature_spec, args.trunk)
    shards, count = open_catalog(args.catalog, args.catalog_root)
    check_split_column(args.split_column, shards[0])
    return Options(
        shards=shards,
        roots=source_roots(args.allow_root, shards),
        tracks=count,
        output=args.output,
        spec=spec,
        plan=SplitPlan(
            taxonomy=taxonomy,
            ratios=ratios,
            column=args.split_column,
            chunk_tracks=args.chunk_tracks,
            unknown_tags=args.unknown_tags,
        ),
        limits=limits,
        buckets=math.ceil(count / BUCKET_ROWS),
        allow_weak_sandbox=args.allow_weak_sandbox,
    )


def _spec(url: str | None, trunk: str | None) -> FeatureSpec:
    if trunk is not None:
        if url is not None:
            raise UsageError("--trunk uses the bundle's feature spec: leave --feature-spec out")
        return load_trunks(trunk).spec
    return FeatureSpec() if url is None else read_feature_spec(url)


def _finished(options: Options) -> DatasetManifest | None:
    """The dataset that this run would make, if it already exists.

    Raises:
      CommandFailed: the folder contains another dataset; the message lists the differences.
    """
    if not storage.exists(storage.join(options.output, DATASET_FILE)):
        return None
    try:
        manifest = read_manifest(options.output)
    except DatasetError as e:
        raise CommandFailed(f"{e}; choose another --output") from e
    differences = [
        f"{name}: {old} in the folder, {new} now" for name, old, new in _compared(manifest, options) if old != new
    ]
    if differences:
        shown = "\n  ".join(differences)
        raise CommandFailed(f"{options.output} contains another dataset; choose another --output\n  {shown}")
    return manifest


def _compared(manifest: DatasetManifest, options: Options) -> list[tuple[str, object, object]]:
    plan = options.plan
    return [
        ("feature_id", manifest.feature_id, options.spec.feature_id),
        ("taxonomy_id", manifest.taxonomy_id, plan.taxonomy.taxonomy_id),
        ("split ratios", manifest.split_ratios, plan.ratios),
        ("split column", manifest.split_column, plan.column),
        ("tracks per shard", manifest.chunk_tracks, plan.chunk_tracks),
        ("digest of the catalog's rows", manifest.catalog_digest, _catalog_digest(options)),
    ]


def _catalog_digest(options: Options) -> str:
    column = options.plan.column
    return add_digests(rows_digest(rows, column) for s in options.shards for rows, _ in read_shard(s))


def _report(options: Options) -> Answer:
    """Reads the launch's receipt and returns its result. The receipt of a finished dataset is kept."""
    receipt = receipts.read(options.output, options.launch)
    if receipt.problem_count or receipt.refused:
        receipts.forget(options.output, options.launch)
    if receipt.problem_count:
        raise CommandFailed(receipt.problem_report("prepared"))
    if receipt.refused:
        refused = f"not finished: {receipt.refused}; finished shards are kept"
        raise CommandFailed("\n".join([refused, *refused_dataset_lines(options.output)]), REFUSED)
    return _answer(read_manifest(options.output), options.output)


def _answer(manifest: DatasetManifest, output: str, before: str = "") -> Answer:
    document = {
        "dataset": output,
        "counts": manifest.counts,
        "splits": manifest.splits,
        "shards": len(manifest.shards),
        "rejects": manifest.rejects,
        "redirected_tags": manifest.redirected_tags,
        "feature_id": manifest.feature_id,
        "taxonomy_id": manifest.taxonomy_id,
    }
    return Answer(text=before + summary(manifest), document=document)


def summary(manifest: DatasetManifest) -> str:
    """Summary of a dataset, as text of a few lines."""
    counts = manifest.counts
    lines = [
        f"{counts['catalog']} tracks = {counts['examples']} examples + {counts['rejected']} rejected "
        f"+ {counts['none']} left out",
        ", ".join(f"{split} {count}" for split, count in manifest.splits.items())
        + f" in {len(manifest.shards)} shards",
    ]
    for name in ("rejects", "none", "conflicts", "unknown_tags", "redirected_tags"):
        counted = sorted(getattr(manifest, name).items(), key=lambda item: (-item[1], item[0]))
        if counted:
            lines.append(f"{name.replace('_', ' ')}: " + ", ".join(f"{key} {count}" for key, count in counted[:20]))
    if shared := manifest.groups.get("shared"):
        lines.append(
            f"{shared} of {manifest.groups['all']} artists (or substitutes for missing artists) are on several sides "
            "of the split: the test split has artists that training has seen"
        )
    empty = [split for split, count in manifest.splits.items() if not count]
    if empty:
        lines.append(f"warning: no examples in {' and '.join(empty)}: add artists or change --split-ratios")
    return "\n".join(lines)
