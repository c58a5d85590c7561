"""Rollback: a new snapshot with the files of an earlier one. History only grows."""

import contextlib
import dataclasses

from transforms.formats.hashing import short_id
from transforms.publishing.audit import audit
from transforms.publishing.commit import commit_run, publish, write_run
from transforms.publishing.gates import GateLimits
from transforms.publishing.judging import gates_json
from transforms.table.reader import open_snapshot, published_numbers
from transforms.table.snapshots import Run, Snapshot, read_snapshot
from transforms.table.versions import TableError, read_table_metadata


class AlreadyRolledBack(Exception):
    """The newest snapshot is a rollback to the same snapshot, for another reason."""


def roll_back(root: str, number: int, reason: str | None = None) -> Snapshot:
    """Publishes the content of snapshot `number` as the next snapshot.

    Nothing is published if the newest snapshot is already a rollback to it, which a repeated command finds.

    Raises:
      Refused: a file of the snapshot is missing or has other bytes.
      RaceLost: another run was published meanwhile.
      AlreadyRolledBack: the newest snapshot is a rollback to it, for another reason.
      TableError: there is no such snapshot, it is the newest one, or the table needs a newer writer.
      storage.NotFound: the table's `table.json` is missing.
    """
    read_table_metadata(root, writing=True)
    old, newest = open_snapshot(root, number).manifest, published_numbers(root)[-1]
    if newest == number:
        raise TableError(f"{root}: snapshot {number} is the newest one: name an earlier one to roll back to")
    with contextlib.suppress(TableError):  # the newest one may be damaged, and this is the way back
        if (last := read_snapshot(root, newest).run).rolled_back_to == number:
            _check_reason(root, newest, last, reason)
            return publish(root, last, GateLimits())
    run = rollback_run(old, newest, reason)
    run = dataclasses.replace(run, gates=gates_json(audit(root, run, GateLimits())))
    write_run(root, run)
    return commit_run(root, run)


def _check_reason(root: str, newest: int, last: Run, reason: str | None) -> None:
    """Refuses another reason for a rollback that is published: a snapshot never changes.

    Raises:
      AlreadyRolledBack: the reason is another one.
    """
    if reason not in (None, last.rollback_reason):
        has = f"with the reason {last.rollback_reason!r}" if last.rollback_reason else "without a reason"
        raise AlreadyRolledBack(
            f"{root}: snapshot {newest} already is a rollback to {last.rolled_back_to}, {has}: nothing was published, "
            f"and the reason {reason!r} was not recorded: leave --reason out"
        )


def rollback_run(old: Snapshot, parent: int, reason: str | None = None) -> Run:
    """The run of a rollback to a snapshot: its files and counts, no work, and no comparison with the parent."""
    return dataclasses.replace(
        old.run,
        run_id=short_id("run", "rollback", str(parent), str(old.number), reason or ""),
        parent=parent,
        counts={**old.run.counts, "decoded": 0, "reused": 0},
        changes={},
        evidence={},
        overrides=(),
        gates={},
        measured={},
        plan={},
        rolled_back_to=old.number,
        rollback_reason=reason,
    )
