"""Audits and commits a finished run that was launched without waiting.

catalog-tagger publish table
"""

from pipelines.inputs.catalog import gate_limits
from pipelines.inputs.flags import Arguments, user_and_host
from pipelines.inputs.kinds import check_writes
from pipelines.planning.prices import Prices
from pipelines.reports.rejects import refused_run_lines, without_tracks
from pipelines.reports.run_report import published_answer
from pipelines.reports.run_reporter import RunReporter, of_launch
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import FAILED, RACE_LOST, REFUSED, CommandFailed, UsageError, checked
from transforms import storage
from transforms.maintenance.leases import Busy, held
from transforms.publishing import receipts
from transforms.publishing.audit import RaceLost, Refused
from transforms.publishing.commit import publish, read_run, unpublished_runs
from transforms.publishing.gates import GateLimits
from transforms.publishing.gates_file import read_gates_file
from transforms.publishing.overrides import Override, OverrideError, overridable
from transforms.publishing.receipts import Receipt
from transforms.telemetry.phases import phase


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Publishes one run."""
    check_writes("TABLE", args.table, "table")
    priced = None if args.prices is None else Prices.load(args.prices).of
    reporter = RunReporter(args.table, facts={}, priced=priced, runs_job=False)
    try:
        with held(args.table, "publish"):
            return _publish(args, reporter)
    except Busy as busy:
        raise CommandFailed(f"nothing was published: {busy}", RACE_LOST) from busy


def _publish(args: Arguments, reporter: RunReporter) -> Answer:
    limits, override = gate_limits(args, read_gates_file(args.table)), _override(args)
    receipt = None if args.run else receipts.newest(args.table)
    try:
        if receipt is None:
            run_id = args.run or _only_run(args.table)
            found = receipts.of_run(args.table, run_id)
            published = publish_run(args.table, run_id, limits, reporter, receipt=found, override=override)
        else:
            run_id = receipt.run_id
            published = publish_receipt(args.table, receipt, limits, reporter, override=override)
    except RaceLost as lost:
        receipts.forget_run(args.table, run_id)
        raise race_lost(lost) from lost
    receipts.forget_run(args.table, run_id)
    return published


def race_lost(lost: RaceLost) -> CommandFailed:
    """The error of a command whose run was finished, but not published first."""
    return CommandFailed(f"nothing was published: {lost}; its work is kept", RACE_LOST)


def _override(args: Arguments) -> Override | None:
    """The override in `--override`, `--reason` and `--by`; None without one.

    Raises:
      UsageError: the reason is missing, a gate does not exist or cannot be overridden, or there is nothing to explain.
    """
    if not args.override:
        if given := [flag for flag in ("reason", "by") if getattr(args, flag) is not None]:
            raise UsageError(f"--{given[0]} explains --override: name the gate to override")
        return None
    if args.reason is None:
        raise UsageError("--override needs --reason: say why the run is published although a gate refuses it")
    by = args.by if args.by is not None else user_and_host()
    return checked(Override, gates=tuple(dict.fromkeys(args.override)), reason=args.reason, by=by)


def unfinished(receipt: Receipt) -> CommandFailed:
    """The error of a launch that ended without a run."""
    if receipt.refused is not None:
        return CommandFailed(f"nothing was published: {receipt.refused}", REFUSED)
    return CommandFailed(receipt.problem_report("tagged"), REFUSED if receipt.gates else FAILED)


def publish_receipt(
    table: str,
    receipt: Receipt,
    limits: GateLimits,
    reporter: RunReporter,
    *,
    override: Override | None = None,
) -> Answer:
    """Publishes the run of one launch, and writes its report.

    Raises:
      CommandFailed: the catalog has problems, which the message lists; the job read other rows than counted; or see
        `publish_run`.
      RaceLost: see `publish_run`.
    """
    if receipt.run_id is None:
        raise reporter.told(unfinished(receipt), receipt)
    return publish_run(table, receipt.run_id, limits, reporter, receipt=receipt, override=override)


def publish_run(
    table: str,
    run_id: str,
    limits: GateLimits,
    reporter: RunReporter,
    *,
    receipt: Receipt | None = None,
    override: Override | None = None,
) -> Answer:
    """Publishes a run, or not, and reports on it; the receipt, if known, has counts and work of this launch.

    Raises:
      CommandFailed: there is no such run, or a gate refuses it.
      UsageError: a gate to be overridden did not fail.
      RaceLost: another run was published since it was planned.
    """
    try:
        finished = read_run(table, run_id)
        with phase("auditing and publishing"):
            snapshot = publish(table, finished, limits, override)
    except storage.NotFound as error:
        raise CommandFailed(f"{run_id}: no finished run of this id in {table}") from error
    except Refused as refused:
        reporter.blocked(finished, refused.results, receipt, f"nothing was published: {refused}")
        rejects = list(refused_run_lines(table, finished, limits))
        lines = [
            f"nothing was published: {without_tracks(str(refused), refused.results) if rejects else refused}",
            *rejects,
            *_way_out(table, run_id, refused),
            *reporter.lines,
        ]
        raise CommandFailed("\n".join(lines), REFUSED) from refused
    except OverrideError as error:
        raise UsageError(str(error)) from error
    reporter.published(snapshot, receipt)
    return published_answer(table, snapshot, of_launch(finished, receipt), reporter)


def _way_out(table: str, run_id: str, refused: Refused) -> list[str]:
    """How to publish a refused run all the same, in a line; nothing if a gate cannot be overridden."""
    if not refused.gates or not set(refused.gates) <= set(overridable()):
        return []
    flags = " ".join(f"--override {gate}" for gate in refused.gates)
    return [
        f"its work is kept; to publish it all the same: catalog-tagger publish {table} {run_id} {flags} --reason TEXT"
    ]


def _only_run(table: str) -> str:
    runs = unpublished_runs(table)
    if not runs:
        raise CommandFailed(f"{table}: no finished run to publish")
    if len(runs) > 1:
        raise UsageError(f"several runs can be published, name one: {', '.join(run.run_id for run in runs)}")
    return runs[0].run_id
