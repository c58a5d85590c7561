"""Audits and commits a finished run that was launched without waiting.

catalog-tagger publish table
"""

import dataclasses

from pipelines.inputs.catalog import gate_limits
from pipelines.inputs.flags import Arguments
from pipelines.reports.rejects import refused_run_lines
from pipelines.reports.run_report import published_answer
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import RACE_LOST, REFUSED, CommandFailed, UsageError
from transforms import storage
from transforms.publishing import receipts
from transforms.publishing.audit import RaceLost, Refused
from transforms.publishing.commit import publish, read_run, unpublished_runs
from transforms.publishing.gates import GateLimits
from transforms.publishing.receipts import Receipt
from transforms.telemetry.phases import phase


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Publishes one run."""
    limits = gate_limits(args)
    receipt = None if args.run else receipts.newest(args.table)
    try:
        if receipt is None:
            run_id = args.run or _only_run(args.table)
            published = publish_run(args.table, run_id, limits)
        else:
            run_id = receipt.run_id
            published = publish_receipt(args.table, receipt, limits)
    except RaceLost as lost:
        receipts.forget_run(args.table, run_id)
        raise race_lost(lost) from lost
    receipts.forget_run(args.table, run_id)
    return published


def race_lost(lost: RaceLost) -> CommandFailed:
    """The error of a command whose run was finished, but not published first."""
    return CommandFailed(f"nothing was published: {lost}; its work is kept", RACE_LOST)


def publish_receipt(table: str, receipt: Receipt, limits: GateLimits, started: float | None = None) -> Answer:
    """Publishes the run of one launch; `started` is when its command began, by the clock `time.monotonic`.

    Raises:
      CommandFailed: the catalog has problems, which the message lists; the job read other rows than counted; or see
        `publish_run`.
      RaceLost: see `publish_run`.
    """
    if receipt.refused is not None:
        raise CommandFailed(f"nothing was published: {receipt.refused}", REFUSED)
    if receipt.run_id is None:
        raise CommandFailed(receipt.problem_report("tagged"))
    return publish_run(table, receipt.run_id, limits, receipt, started)


def publish_run(
    table: str, run_id: str, limits: GateLimits, receipt: Receipt | None = None, started: float | None = None
) -> Answer:
    """Publishes a run and reports on it; the receipt has the counts and the work of this launch, if it is known.

    Raises:
      CommandFailed: there is no such run, or a gate refuses it.
      RaceLost: another run was published since it was planned.
    """
    try:
        finished = read_run(table, run_id)
        with phase("auditing and publishing"):
            snapshot = publish(table, finished, limits)
    except storage.NotFound as error:
        raise CommandFailed(f"{run_id}: no finished run of this id in {table}") from error
    except Refused as refused:
        text = "\n".join([f"nothing was published: {refused}", *refused_run_lines(table, finished, limits)])
        raise CommandFailed(text, REFUSED) from refused
    if receipt is not None:
        finished = dataclasses.replace(finished, counts=receipt.counts, measured=receipt.measured or finished.measured)
    return published_answer(table, snapshot, finished, started)


def _only_run(table: str) -> str:
    runs = unpublished_runs(table)
    if not runs:
        raise CommandFailed(f"{table}: no finished run to publish")
    if len(runs) > 1:
        raise UsageError(f"several runs can be published, name one: {', '.join(run.run_id for run in runs)}")
    return runs[0].run_id
