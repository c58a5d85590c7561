"""The condition of a table, for a monitor: newest snapshot, last launch, gates, tracks due again, disk, leases."""

from collections import defaultdict
from typing import Any

from transforms import storage
from transforms.audio.errors import DUE_AGAIN, SourceNotFound, SourceUnavailable
from transforms.maintenance.kinds import kind_of_path
from transforms.maintenance.last_launch import last_launch
from transforms.maintenance.leases import all_leases
from transforms.maintenance.retention import published_s
from transforms.table.snapshots import Snapshot, listed_numbers, read_snapshot
from transforms.table.versions import read_table_metadata


def condition_of(root: str, now: float) -> dict[str, Any]:
    """Facts about a table as one JSON object.

    `due` are tracks that the next run tries again in any case. A track that was `not_found` is tried again when a
    listing of its folder contains the file; if the catalog states source versions, in every run.

    Args:
      root: folder or gs:// prefix of the table.
      now: seconds since 1970.

    Raises:
      TableError, storage.StorageError: the table or its newest snapshot cannot be read.
    """
    read_table_metadata(root)
    numbers = listed_numbers(root)
    leases = [_lease(root, lease, now) for lease in all_leases(root)]
    return {
        "table": root,
        "snapshots": len(numbers),
        "snapshot": _snapshot_facts(read_snapshot(root, numbers[-1]), now) if numbers else None,
        "last_launch": last_launch(root, any(one["live"] and one["job"] == "tag" for one in leases)),
        "disk": _disk(root),
        "leases": leases,
    }


def _snapshot_facts(snapshot: Snapshot, now: float) -> dict[str, Any]:
    run = snapshot.run
    return {
        "number": snapshot.number,
        "created": snapshot.created,
        "created_s": published_s(snapshot),
        "age_s": max(int(now - published_s(snapshot)), 0),
        "run_id": run.run_id,
        "content_hash": run.content_hash,
        "counts": run.counts,
        "reasons": run.reasons,
        "unavailable": run.reasons.get(SourceUnavailable.reason, 0),
        "not_found": run.reasons.get(SourceNotFound.reason, 0),
        "due": sum(run.reasons.get(reason, 0) for reason in DUE_AGAIN - {SourceNotFound.reason}),
        "gates": run.gates,
        "failed_gates": [name for name, result in run.gates.items() if not result["passed"]],
        "rolled_back_to": run.rolled_back_to,
        "purged": run.purged,
    }


def _disk(root: str) -> dict[str, dict[str, int]]:
    """Kind of file -> number and bytes. `other` are files that are not of this program."""
    disk: dict[str, dict[str, int]] = defaultdict(lambda: {"files": 0, "bytes": 0})
    start = root.removesuffix("/") + "/"
    for info in storage.list_files(root):
        entry = disk[kind_of_path(info.url.removeprefix(start)) or "other"]
        entry["files"] += 1
        entry["bytes"] += info.size or 0
    for info in storage.list_unfinished(root):
        disk["unfinished"]["files"] += 1
        disk["unfinished"]["bytes"] += info.size or 0
    return dict(sorted(disk.items()))


def _lease(root: str, lease: Any, now: float) -> dict[str, Any]:
    return {
        "job": lease.job,
        "live": lease.looks_live(root, now),
        "heartbeat_s": max(int(now - lease.modified), 0),
        **{name: lease.facts.get(name) for name in ("host", "pid", "started")},
    }
