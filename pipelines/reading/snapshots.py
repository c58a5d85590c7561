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
from transforms.formats.quantities import quantity
from transforms.storage import StorageError
from transforms.table.mixture import mixture_text
from transforms.table.neighbours import neighbours_text
from transforms.table.reader import open_snapshot, published_numbers
from transforms.table.snapshots import Run, Snapshot, read_snapshot
from transforms.table.versions import TableError
from transforms.taxonomy.hierarchy import Taxonomy, TaxonomyError
from transforms.taxonomy.published_tags import taxonomy_of_rows
from transforms.taxonomy.versions import fates_of

_Facts = dict[str, Any]


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Returns all snapshots, the newest last. One that cannot be read has a `problem`."""
    listed = list(listing(args.table, datetime.datetime.now(datetime.UTC)))
    rows = [_row(facts) for facts in listed]
    total = sum(facts.get("new_bytes", 0) for facts in listed)
    table = table_text(list(rows[0]), [list(row.values()) for row in rows])
    notes = [f"snapshot {row['snapshot']}: {row['note']}" for row in rows if row["note"]]
    return Answer(
        text="\n".join([table, *notes, f"{quantity(total, 'byte')} in the data files of all snapshots"]),
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
        yield {**_facts(snapshot, now), **_sizes(snapshot.run, seen), "tag_changes": _tag_changes(root, snapshot)}


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


def _tag_changes(root: str, snapshot: Snapshot) -> dict[str, int]:
    """What became of the tags of the parent: numbers of renamed, merged and split tags, and so on, without zeros.

    Two small files are read, if the taxonomy is another one. Nothing is said if one of them cannot be read.
    """
    parent = snapshot.run.parent
    try:
        if parent is None or snapshot.run.rolled_back_to is not None:
            return {}
        if read_snapshot(root, parent).run.ids.taxonomy_id == snapshot.run.ids.taxonomy_id:
            return {}
        before, after = (taxonomy_of_rows(_taxonomy_rows(root, number)) for number in (parent, snapshot.number))
    except (TableError, StorageError, TaxonomyError):
        return {}
    fates = {name: len(value) for name, value in fates_of(before.index, after)._asdict().items()}
    fates["added"] = len(_new_tags(after, set(before.index)))
    return {name: count for name, count in fates.items() if count}


def _new_tags(taxonomy: Taxonomy, old: set[str]) -> list[str]:
    """Tags that had none of their ids before."""
    return [tag for tag in taxonomy.index if tag not in old and not old.intersection(taxonomy.other_ids[tag])]


def _taxonomy_rows(root: str, number: int) -> list[_Facts]:
    rows: list[_Facts] = open_snapshot(root, number).scan("taxonomy").to_pylist()
    return rows


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
        notes.append(f"{quantity(gone, 'track')} taken out by {', '.join(facts['purged'])}")
    if changes := facts.get("tag_changes"):
        notes.append(", ".join(f"{quantity(count, 'tag')} {fate}" for fate, count in changes.items()))
    if facts["mixture"] is not None:
        notes.append(facts["mixture"])
    if facts["neighbours"] is not None:
        notes.append(facts["neighbours"])
    return "; ".join(notes) or None
