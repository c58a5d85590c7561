"""Audit and commit a finished run that was launched without waiting.

catalog-tagger publish table
"""

import argparse
from typing import TYPE_CHECKING

from pipelines.inputs.catalog import add_gate_arguments, gate_limits
from pipelines.terminal.errors import DONE, REFUSED, CommandFailed, UsageError

if TYPE_CHECKING:
    from transforms.publishing.gates import GateLimits
    from transforms.publishing.receipts import Receipt

HELP = "Audit a finished run and commit it as the next snapshot."

COUNTS = ("catalog", "tagged", "carried", "rejected", "unavailable", "decoded", "reused")
"""Counts of a run, in the order in which they are told."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `publish`."""
    parser.add_argument("table", help="folder or gs:// prefix of the tables")
    parser.add_argument("run", nargs="?", help="run id (default: that of the last launch)")
    add_gate_arguments(parser, "publish nothing")


def run(args: argparse.Namespace, beam_args: list[str]) -> int:
    """Publishes one run; returns the exit code."""
    from transforms.publishing import receipts

    limits = gate_limits(args)
    receipt = None if args.run else receipts.newest(args.table)
    if receipt is None:
        run_id = args.run or _only_run(args.table)
        code = publish_run(args.table, run_id, limits)
    else:
        run_id = receipt.run_id
        code = publish_receipt(args.table, receipt, limits)
    receipts.forget_run(args.table, run_id)
    return code


def publish_receipt(table: str, receipt: "Receipt", limits: "GateLimits") -> int:
    """Publishes what one launch came to, or tells the catalog's problems."""
    if receipt.run_id is None:
        raise CommandFailed(receipt.problem_report("tagged"))
    return publish_run(table, receipt.run_id, limits, counts=receipt.counts)


def publish_run(table: str, run_id: str, limits: "GateLimits", counts: dict[str, int] | None = None) -> int:
    """Publishes a run and prints what it came to; `counts` are those of this launch, where there was one."""
    from transforms import storage
    from transforms.publishing.audit import Refused
    from transforms.publishing.commit import publish, read_run

    try:
        finished = read_run(table, run_id)
        snapshot = publish(table, finished, limits)
    except storage.NotFound as error:
        raise CommandFailed(f"{run_id}: no finished run of this id in {table}") from error
    except Refused as refused:
        raise CommandFailed(f"nothing was published: {refused}", REFUSED) from refused
    counts = counts or finished.counts
    print(f"snapshot {snapshot.number} of {table}: " + ", ".join(f"{name} {counts[name]}" for name in COUNTS))
    print(f"content hash {snapshot.run.content_hash}")
    return DONE


def _only_run(table: str) -> str:
    from transforms.publishing.commit import unpublished_runs

    runs = unpublished_runs(table)
    if not runs:
        raise CommandFailed(f"{table}: no finished run is waiting to be published")
    if len(runs) > 1:
        raise UsageError(f"several runs are waiting, name one: {', '.join(run.run_id for run in runs)}")
    return runs[0].run_id
