"""What became of the launch of `tag` that began last, if its run is not published."""

import contextlib
import datetime
from typing import Any, NamedTuple

from transforms import storage
from transforms.formats.sealing import open_sealed
from transforms.maintenance.kinds import known_files
from transforms.publishing import receipts
from transforms.publishing.commit import read_run
from transforms.publishing.receipts import Receipt, parent_of
from transforms.table.layout import report_paths
from transforms.table.snapshots import snapshot_numbers
from transforms.table.versions import TableError

_MOST_REPORTS = 10
"""Newest reports of launches without a run among which that of the last launch is looked for."""


def last_launch(root: str, running: bool) -> dict[str, Any] | None:
    """The launch that began last and is not published; None if there is none, or if later snapshots have overtaken it.

    Its state is `running`, `stopped` (killed, or it has failed), `blocked` (rows are missing, the catalog has problems,
    or `gates` refuse its run), or `finished` (its run can be published). `report` is the page of its report, if there
    is one.

    Args:
      root: folder or gs:// prefix of the table.
      running: whether a job writes to the table.
    """
    files = list(known_files(root, "launches"))
    if not files:
        return None
    name = max(file.path for file in files).rpartition(".")[0]
    if not running and parent_of(name) < max(snapshot_numbers(root), default=0):
        return None
    mine = [file for file in files if file.path.startswith(f"{name}.")]
    modified = max(file.info.modified or 0.0 for file in mine)
    when = datetime.datetime.fromtimestamp(modified, datetime.UTC).isoformat(timespec="seconds")
    facts: dict[str, Any] = {
        "launch": name,
        "state": "running" if running else "stopped",
        "when": when,
        "run_id": None,
        "problem": None,
        "gates": [],
        "report": None,
    }
    if f"{name}.json" not in {file.path for file in mine}:
        return facts
    try:
        receipt = receipts.read(root, f"{name}.json")
    except TableError as error:
        return {**facts, "problem": str(error)}
    return {**facts, "run_id": receipt.run_id, **_outcome(root, receipt)}


class _Report(NamedTuple):
    page: str
    summary: dict[str, Any]


def _outcome(root: str, receipt: Receipt) -> dict[str, Any]:
    """State, problem, gates and report of a launch that has ended."""
    report = _report_of(root, receipt)
    found: dict[str, Any] = {"report": None if report is None else report.page}
    if receipt.run_id is None:
        problem = receipt.refused or receipt.problem_report("tagged")
        gates = ["counted"] if receipt.refused is not None else list(receipt.gates)
        return {**found, "state": "blocked", "problem": problem, "gates": gates}
    gates = _failed_gates(root, receipt.run_id)
    cause = f"gate {', '.join(gates)}"
    if report is not None and report.summary.get("status") == "blocked":  # judged by the limits of the publisher
        gates, cause = _failed(report.summary["run"]["gates"]), report.summary["cause"]
    return {**found, "state": "blocked" if gates else "finished", "problem": cause if gates else None, "gates": gates}


def _failed_gates(root: str, run_id: str) -> list[str]:
    """The gates that refuse a finished run by the limits of its launch; none if its manifest cannot be read."""
    try:
        return _failed(read_run(root, run_id).gates)
    except (storage.NotFound, TableError):
        return []


def _failed(gates: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name, result in gates.items() if not result["passed"] and not result.get("overridden")]


def _report_of(root: str, receipt: Receipt) -> _Report | None:
    """The report of a launch. That of a launch without a run is named by its time, and has the counts of the launch."""
    if receipt.run_id is not None:
        return _read(root, receipt.run_id)
    names = sorted({file.match[1] for file in known_files(root, "reports")} - {""}, reverse=True)
    launch = {"counts": receipt.counts, "plan": receipt.plan, "measured": receipt.measured}
    timed = [name for name in names if name[:1].isdigit()][:_MOST_REPORTS]
    reports = (_read(root, name) for name in timed)
    return next((one for one in reports if one is not None and one.summary.get("launch") == launch), None)


def _read(root: str, name: str) -> _Report | None:
    page, summary = (storage.join(root, path) for path in report_paths(name))
    with contextlib.suppress(storage.NotFound, ValueError, TypeError):
        return _Report(page, open_sealed(storage.read_bytes(summary)).fields)
    return None
