"""What is told about one run of `tag`, as one JSON document of bounded size: `run_summary.json`."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pipelines.reports.work_done import work_done
from transforms.publishing.receipts import Receipt
from transforms.table.snapshots import Run
from transforms.tagging.costs import STAGES, RunEstimate, cost_of
from transforms.telemetry.phases import PhaseRecord

SUMMARY_VERSION = 1

PUBLISHED, BLOCKED, FAILED, SAMPLED = "published", "blocked", "failed", "sampled"
"""What became of a run: a snapshot, refused by a gate, ended by an error, or a sample that no gate refuses."""

Priced = Callable[[RunEstimate], dict[str, Any]]
"""The cost in money of what was measured."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEnd:
    """How a run ended.

    Attributes:
      status: `published`, `blocked`, `failed` or `sampled`.
      when: time of the end (ISO format, UTC).
      snapshot: number of the snapshot; None if nothing was published.
      exit_code: exit code of the command.
      cause: why nothing was published, the first line of the message; "" for a published run.
      details: further lines of the message.
    """

    status: str
    when: str
    snapshot: int | None = None
    exit_code: int = 0
    cause: str = ""
    details: tuple[str, ...] = ()


def run_summary(
    facts: Mapping[str, Any],
    end: RunEnd,
    phases: Collection[PhaseRecord],
    *,
    run: Run | None = None,
    receipt: Receipt | None = None,
    priced: Priced | None = None,
    seconds: float | None = None,
    comparison: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The summary. What is not known is null or empty.

    Args:
      facts: what was run: `table`, and `catalog` and `model` if the command knows them.
      end: how it ended.
      phases: the phases of the command that have ended.
      run: the finished run, with the counts and the work of this launch, and the gates by which it was judged.
      receipt: the receipt of the launch. It is all that is known of a job whose run was not written.
      priced: the prices; None if there are none.
      seconds: duration of the command.
      comparison: what the run of a sample would change, in the form of `diff`; None for other runs.
    """
    named = {} if receipt is None else receipt.tracks
    return {
        "summary_version": SUMMARY_VERSION,
        **facts,
        **dataclasses.asdict(end),
        "run": None if run is None else _run_facts(run),
        "launch": None if receipt is None else _launch_facts(receipt),
        "stages": [] if run is None else _stages(run),
        "work": None if run is None else _work(run, priced, seconds),
        "phases": [dataclasses.asdict(phase) for phase in phases],
        "prevalence": {} if run is None else _prevalence(run),
        "slowest": named.get("slowest", []),
        "heaviest": named.get("heaviest", []),
        "lost_source_rows": named.get("sources", {}),
        "rejects": [] if run is None else _rejects(run, named.get("rejects", {})),
        "comparison": None if comparison is None else dict(comparison),
    }


def _run_facts(run: Run) -> dict[str, Any]:
    """The fields of the manifest, but for the list of files and what is told elsewhere."""
    return {
        "run_id": run.run_id,
        "parent": run.parent,
        "content_hash": run.content_hash,
        "ids": dataclasses.asdict(run.ids),
        "options": run.options,
        "fusion": run.fusion,
        "counted": run.counted,
        "counts": run.counts,
        "reasons": run.reasons,
        "changes": run.changes,
        "plan": run.plan,
        "gates": run.gates,
        "overrides": list(run.overrides),
        "measured": run.measured,
        "tables": _tables(run),
    }


def _launch_facts(receipt: Receipt) -> dict[str, Any]:
    return {"counts": receipt.counts, "plan": receipt.plan, "measured": receipt.measured}


def _tables(run: Run) -> dict[str, dict[str, int]]:
    tables: dict[str, dict[str, int]] = {}
    for file in run.files:
        entry = tables.setdefault(file.table, {"files": 0, "rows": 0, "bytes": 0})
        entry["files"] += 1
        entry["rows"] += file.rows - file.dead
        entry["bytes"] += file.bytes
    return tables


def _stages(run: Run) -> list[dict[str, Any]]:
    """Processor time of each stage, measured and planned; None if a value is not known."""
    measured = run.measured.get("core_seconds", {})
    planned = run.plan.get("expected", {}).get("core_seconds", {})
    return [
        {"stage": stage, "core_seconds": measured.get(stage), "planned_core_seconds": planned.get(stage)}
        for stage in STAGES
    ]


def _work(run: Run, priced: Priced | None, seconds: float | None) -> dict[str, Any]:
    cost = cost_of(run)
    hours = cost.core_hours
    done = work_done(run.measured)
    useful = run.counts["tagged"] + run.counts["carried"]
    return {
        "seconds": None if seconds is None else round(seconds, 1),
        "core_hours": hours,
        **done._asdict(),
        "decoded_tracks_per_core_hour": done.extracted / hours if hours and done.extracted else None,
        "catalog_tracks_per_core_hour": run.counts["catalog"] / hours if hours and useful else None,
        "read_bytes": cost.read_bytes,
        "table_bytes": cost.table_bytes,
        "part_bytes": cost.part_bytes,
        "money": None if priced is None else priced(cost),
    }


def _prevalence(run: Run) -> dict[str, dict[str, Any]]:
    """Tag -> tracks with the tag and tagged tracks, in the last snapshot and in this run; see `TagDrift.to_json`."""
    drift: Mapping[str, Any] = run.evidence.get("drift", {})
    return {
        tag: {name: found[name] for name in ("positives", "tracks", "stability_index")} for tag, found in drift.items()
    }


def _rejects(run: Run, examples: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rejected tracks by reason, the most frequent first, with up to ten examples of each."""
    order = sorted(run.reasons.items(), key=lambda item: (-item[1], item[0]))
    return [{"reason": reason, "tracks": count, "examples": examples.get(reason, [])} for reason, count in order]
