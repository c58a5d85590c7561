"""Audit and commit a finished run that was launched without waiting.

catalog-tagger publish table
"""

import argparse
from typing import TYPE_CHECKING

from pipelines.terminal.errors import DONE, REFUSED, CommandFailed, UsageError, checked

if TYPE_CHECKING:
    from transforms.publishing.gates import Gate
    from transforms.publishing.receipts import Receipt

HELP = "Audit a finished run and commit it as the next snapshot."

COUNTS = ("catalog", "tagged", "carried", "rejected", "unavailable", "decoded", "reused")
"""Counts of a run, in the order in which they are told."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `publish`."""
    parser.add_argument("table", help="folder or gs:// prefix of the tables")
    parser.add_argument("run", nargs="?", help="run id (default: that of the last launch)")
    parser.add_argument("--max-reject-ratio", type=float, default=0.1, help="more rejects than this publish nothing")
    parser.add_argument("--max-unavailable-ratio", type=float, default=0.0005, help="the same for unavailable tracks")


def run(args: argparse.Namespace, beam_args: list[str]) -> int:
    """Publishes one run; returns the exit code."""
    from transforms.publishing import receipts
    from transforms.publishing.gates import Gate

    gate = checked(Gate, max_reject_ratio=args.max_reject_ratio, max_unavailable_ratio=args.max_unavailable_ratio)
    receipt = None if args.run else receipts.newest(args.table)
    if receipt is None:
        run_id = args.run or _only_run(args.table)
        code = publish_run(args.table, run_id, gate)
    else:
        run_id = receipt.run_id
        code = publish_receipt(args.table, receipt, gate)
    receipts.forget_run(args.table, run_id)
    return code


def publish_receipt(table: str, receipt: "Receipt", gate: "Gate") -> int:
    """Publishes what one launch came to, or tells the catalog's problems."""
    if receipt.run_id is None:
        shown = "\n".join(receipt.problems)
        raise CommandFailed(f"{receipt.problem_count} problems in the catalog, nothing was tagged:\n{shown}")
    return publish_run(table, receipt.run_id, gate, counts=receipt.counts)


def publish_run(table: str, run_id: str, gate: "Gate", counts: dict[str, int] | None = None) -> int:
    """Publishes a run and prints what it came to; `counts` are those of this launch, where there was one."""
    from transforms import storage
    from transforms.publishing.commit import publish, read_run
    from transforms.publishing.gates import Refused

    try:
        finished = read_run(table, run_id)
        snapshot = publish(table, finished, gate)
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
