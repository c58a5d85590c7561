"""Removes files of a table that no retained snapshot and no run to come needs.

catalog-tagger gc table --keep-last 14 --apply
"""

import time
from typing import Any

from pipelines.inputs.flags import Arguments
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import RACE_LOST, CommandFailed, checked
from transforms.formats.quantities import quantity
from transforms.maintenance.collection import collect, removals, summed
from transforms.maintenance.inventory import Inventory, take_inventory
from transforms.maintenance.leases import Busy, held
from transforms.maintenance.retention import Retention
from transforms.table.versions import read_table_metadata


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Counts what nothing needs, and removes it with --apply.

    Raises:
      CommandFailed: another job writes to the table.
      TableError, StorageError: the table cannot be read, so that nobody knows what it needs.
    """
    retention = checked(Retention, keep_last=args.keep_last, keep_days=args.keep_days)
    if not args.apply:
        read_table_metadata(args.table)
        inventory = take_inventory(args.table, retention, args.older_than, time.time())
        return _answer(args, inventory, summed(removals(inventory)))
    try:
        with held(args.table, "gc") as lease:
            inventory = take_inventory(args.table, retention, args.older_than, lease.storage_time())
            facts = {name: getattr(args, name) for name in ("keep_last", "keep_days", "older_than")}
            return _answer(args, inventory, collect(inventory, lease, facts))
    except Busy as busy:
        raise CommandFailed(f"nothing more was removed: {busy}", RACE_LOST) from busy


def _answer(args: Arguments, inventory: Inventory, removed: dict[str, dict[str, int]]) -> Answer:
    files, size = (sum(counts[what] for counts in removed.values()) for what in ("files", "bytes"))
    verb = "removed" if args.apply else "can be removed"
    lines = [f"{kind}: {_size(counts['files'], counts['bytes'])}" for kind, counts in removed.items()]
    retained = ", ".join(map(str, sorted(inventory.retained))) or "none"
    end = [] if args.apply or not files else ["nothing was removed: give --apply to remove these files"]
    document: dict[str, Any] = {
        "table": args.table,
        "applied": args.apply,
        "retained": sorted(inventory.retained),
        "retired": inventory.retiring,
        "removed": removed,
        "files": files,
        "bytes": size,
    }
    return Answer(
        text="\n".join([*lines, f"{_size(files, size)} {verb}; retained snapshots: {retained}", *end]),
        document=document,
        rows=[{"kind": kind, **counts} for kind, counts in removed.items()],
    )


def _size(files: int, size: int) -> str:
    return f"{quantity(files, 'file')}, {quantity(size, 'byte')}"
