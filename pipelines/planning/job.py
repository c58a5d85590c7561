"""Runs `tag --plan`, and stops runs that would change a table in ways that nobody accepted."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.inputs.flags import Arguments
from pipelines.launch.beam import is_dry_run, is_local, worker_threads
from pipelines.planning.budget import choice_of_plan, with_choice
from pipelines.planning.canary import SampleSize
from pipelines.planning.catalog import plan_catalog
from pipelines.planning.prices import Prices
from pipelines.planning.sample import measured_costs
from pipelines.planning.text import plan_answer
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import REFUSED, CommandFailed, UsageError, checked
from pipelines.waves.tagging import TagStages
from transforms.levels.writing import planned_compaction
from transforms.publishing.gates import GATE_BY_NAME, GateLimits
from transforms.storage.scratch import open_scratch
from transforms.tagging.changes import TableChanges
from transforms.tagging.choice import Budget
from transforms.tagging.costs import estimated
from transforms.tagging.forecast import Forecast

_log = logging.getLogger(__name__)

MOST_THREADS = 8
"""Most buckets that are decided at the same time."""

MOST_MEASURED = 10_000
"""Most tracks of a sample, which is in memory without its audio."""

_ONLY_WITH_PLAN = ("workers", "measure")


def check_plan_flags(args: Arguments, options: PipelineOptions) -> None:
    """Refuses flags that have no effect with or without `--plan`, and samples that are too large.

    Raises:
      UsageError: there is such a flag.
    """
    if args.plan and is_dry_run(options):
        raise UsageError("--plan and --dry_run=True: --plan starts no job: leave --dry_run out")
    if args.measure is not None and args.measure > MOST_MEASURED:
        raise UsageError(f"--measure={args.measure}: at most {MOST_MEASURED}: costs of a track need no more")
    for name in () if args.plan else _ONLY_WITH_PLAN:
        if getattr(args, name) is not None:
            raise UsageError(f"--{name}={getattr(args, name)}: this is a flag of --plan: add it, or leave the flag out")


def check_part_flags(args: Arguments, *, dry_run: bool) -> None:
    """Refuses flags of runs over a part of the tracks that do not go together.

    Raises:
      UsageError: there are such flags, or the size of the sample is wrong.
    """
    if args.first is not None and args.max_core_hours is None:
        raise UsageError("--first says which tracks --max-core-hours extracts first: add it, or leave --first out")
    if args.fusion is not None and args.max_core_hours is not None:
        raise UsageError(
            "--fusion and --max-core-hours: rows that such a run keeps cannot be combined with annotations: leave "
            "--fusion out until all tracks have the new embedding"
        )
    if args.sample is None:
        return
    checked(SampleSize.parse, args.sample)
    for name in ("max_core_hours", "no_wait"):
        if getattr(args, name):
            flag = name.replace("_", "-")
            raise UsageError(f"--sample and --{flag}: a sample is tagged at once and compared: leave --{flag} out")
    if dry_run:
        raise UsageError("--sample and --dry_run=True: a sample is tagged at once: leave --dry_run out")


def planned(
    args: Arguments,
    options: PipelineOptions,
    stages: TagStages,
    *,
    also: Sequence[Mapping[str, Any]],
    changes: TableChanges | None,
    prices: Prices | None,
) -> Answer:
    """Plans the run on this machine, whatever the runner is.

    Args:
      args: flags of `tag`.
      options: Beam's options.
      stages: settings of the run.
      also: `model` and `table` of each further bundle.
      changes: what the run would change in the table; None for a table without snapshots.
      prices: the prices; None if there are none.

    Raises:
      CommandFailed: the catalog has problems, or a gate would refuse the run for rejects that are known.
    """
    threads = min(worker_threads(options), MOST_THREADS)
    plan = plan_catalog(stages, threads=threads, sample=args.measure or 0)
    expectations, known = stages.record.expectations, stages.record.known
    measured = measured_costs(stages, plan)
    units, budget = expectations.units.with_sample(measured), None
    if args.max_core_hours is not None:
        given = Budget(max_core_hours=args.max_core_hours, first=args.first)
        with open_scratch() as scratch:
            made = choice_of_plan(stages, given, scratch, expectations.units.filled_by(measured), threads)
            plan, budget = plan_catalog(with_choice(stages, made), threads=threads), made.facts.to_json()
    _require_few_known_rejects(plan.forecast, stages.record.limits)
    compaction = planned_compaction(known.compaction, known.files_before)
    estimate = estimated(plan.forecast, units, expectations.bundles, compaction.write_bytes)
    tracks = plan.forecast.actions["extract"]
    facts = {
        "table": args.table,
        "catalog": args.catalog,
        "model": args.model,
        "snapshot": known.parent,
        "also": [{**one, "tracks": tracks} for one in also],
        "changes": None if changes is None else changes.to_json(),
        "budget": budget,
        "compaction": compaction._asdict(),
    }
    return plan_answer(
        facts,
        plan.forecast,
        known.tracks_before,
        estimate,
        units,
        workers=args.workers or (worker_threads(options) if is_local(options) else None),
        money=None if prices is None else prices.of(estimate),
    )


def _require_few_known_rejects(forecast: Forecast, limits: GateLimits) -> None:
    """Refuses a run whose gate on rejects cannot pass, whatever it extracts.

    Raises:
      CommandFailed: too many tracks are rejected without being read again.
    """
    gate, rejected = GATE_BY_NAME["rejected"], forecast.known_rejects
    if forecast.tried and rejected / forecast.tried > (limit := gate.limit(limits)):
        raise CommandFailed(
            f"gate {gate.name} would refuse this run: {rejected} of {forecast.tried} tracks were rejected by earlier "
            f"runs and are not read again, more than the fraction {limit:.4g}: correct their files, uris or "
            "--catalog-root, give --retry-rejects to read them again, or raise --max-reject-ratio",
            REFUSED,
        )


def require_accepted(table: str, model: str, changes: TableChanges | None, *, accepted: bool) -> None:
    """Says before a run starts what it changes in a table; stops it if that is not accepted.

    Args:
      table: the table.
      model: the bundle of the run.
      changes: what would change; None for a table without snapshots.
      accepted: whether the user, or a gate that rated the bundle, accepts it.

    Raises:
      UsageError: tags, thresholds, features or trunk would change, or a flag that the snapshot was made with is left
        out, and that is not accepted. The message lists it.
    """
    if changes is None or not (sentences := changes.sentences()):
        return
    subject = model if changes.is_of_bundle else "this run"
    if accepted or not changes.must_be_accepted:
        _log.warning(
            "%s differs from what snapshot %d was made with: %s", subject, changes.snapshot, "; ".join(sentences)
        )
        return
    again = f"give {' and '.join(changes.left_out)} again, or " if changes.left_out else ""
    raise UsageError(
        f"{subject} differs from what snapshot {changes.snapshot} of {table} was made with: {'; '.join(sentences)}. "
        f"Nothing was started: {again}look at it with --plan, then give --accept-changes"
    )
