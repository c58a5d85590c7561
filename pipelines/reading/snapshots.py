"""Lists the snapshots of a table: age, sizes, gates, rejects and rollbacks.

catalog-tagger snapshots table
"""

import dataclasses
import datetime
from collections.abc import Iterator
from typing import Any

from pipelines.inputs.flags import Arguments
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import DONE, FAILED
from pipelines.terminal.printing import table_text
from transforms.storage import StorageError
from transforms.table.mixture import mixture_text
from transforms.table.neighbours import neighbours_text
from transforms.table.reader import published_numbers
from transforms.table.snapshots import Run, Snapshot, read_snapshot
from transforms.table.versions import TableError

_Facts = dict[str, Any]


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Returns all snapshots, the newest last. One that cannot be read has a `problem`."""
    listed = list(listing(args.table, datetime.datetime.now(datetime.UTC)))
    rows = [_row(facts) for facts in listed]
    total = sum(facts.get("new_bytes", 0) for facts in listed)
    table = table_text(list(rows[0]), [list(row.values()) for row in rows], most_rows=len(rows))
    notes = [f"snapshot {row['snapshot']}: {row['note']}" for row in rows if row["note"]]
    return Answer(
        text="\n".join([table, *notes, f"{total:,} bytes in the data files of all snapshots"]),
        document={"table": args.table, "bytes": total, "snapshots": listed},
        rows=rows,
        code=FAILED if any("problem" in facts for facts in listed) else DONE,
        all=True,
    )


def listing(root: str, now: datetime.datetime) -> Iterator[_Facts]:
    """Yields one JSON object per published snapshot, oldest first.

    Raises:
      TableError: no snapshot is published there.
    """
    seen: set[str] = set()
    for number in published_numbers(root):
        try:
            snapshot = read_snapshot(root, number)
        except (TableError, StorageError) as error:
            yield {"number": number, "problem": str(error)}
            continue
        yield {**_facts(snapshot, now), **_sizes(snapshot.run, seen)}


def _facts(snapshot: Snapshot, now: datetime.datetime) -> _Facts:
    run = snapshot.run
    age = now - datetime.datetime.fromisoformat(snapshot.created)
    return {
        "number": snapshot.number,
        "parent": run.parent,
        "created": snapshot.created,
        "age_s": max(int(age.total_seconds()), 0),
        "run_id": run.run_id,
        "content_hash": run.content_hash,
        "counts": run.counts,
        "reasons": run.reasons,
        "gates": run.gates,
        "overrides": [entry for entry in run.overrides if entry["snapshot"] == snapshot.number],
        "rolled_back_to": run.rolled_back_to,
        "rollback_reason": run.rollback_reason,
        "purged": run.purged,
        "earlier": [dataclasses.asdict(one) for one in run.earlier],
        "mixture": mixture_text(run),
        "neighbours": neighbours_text(run),
    }


def _sizes(run: Run, seen: set[str]) -> _Facts:
    """Sizes of a snapshot's files; `new_bytes` are those of files that no earlier one has. Adds its files to `seen`."""
    new = [file for file in run.files if file.path not in seen]
    seen |= {file.path for file in new}
    return {
        "files": len(run.files),
        "bytes": sum(file.bytes for file in run.files),
        "new_bytes": sum(file.bytes for file in new),
    }


def _row(facts: _Facts) -> _Facts:
    counts = facts.get("counts", {})
    return {
        "snapshot": facts["number"],
        "created": facts.get("created"),
        "age": age_text(facts["age_s"]) if "age_s" in facts else None,
        "tracks": counts.get("catalog"),
        "rejected": counts.get("rejected"),
        "bytes": facts.get("bytes"),
        "new_bytes": facts.get("new_bytes"),
        "gates": _gates(facts["gates"]) if "gates" in facts else None,
        "reasons": ", ".join(f"{name} {count}" for name, count in facts.get("reasons", {}).items()) or None,
        "note": facts.get("problem") or _note(facts),
    }


def age_text(seconds: int) -> str:
    """An age in its two largest units.

    >>> age_text(200_000), age_text(59)
    ('2 d 7 h', '0 min')
    """
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _gates(gates: _Facts) -> str:
    """How many gates passed, and which did not; runs of version 0.1 recorded none."""
    if not gates:
        return "not recorded"
    failed = [name for name, result in gates.items() if not result["passed"]]
    return f"{len(gates) - len(failed)} passed" + (f", failed: {', '.join(failed)}" if failed else "")


def _note(facts: _Facts) -> str | None:
    notes = [f"{entry['by']} overrode {entry['gate']}: {entry['reason']}" for entry in facts["overrides"]]
    if facts["rolled_back_to"] is not None:
        reason = facts["rollback_reason"]
        notes.insert(0, f"rollback to {facts['rolled_back_to']}" + (f": {reason}" if reason else ""))
    if gone := sum(one["tracks"] for one in facts["purged"].values()):
        notes.append(f"{gone} tracks taken out by {', '.join(facts['purged'])}")
    if facts["mixture"] is not None:
        notes.append(facts["mixture"])
    if facts["neighbours"] is not None:
        notes.append(facts["neighbours"])
    return "; ".join(notes) or None
