"""The last lines of `tag`: counts by reason, duration, rate, processor time, the run's report, what to run next."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.reports.plan_outcome import outcome_lines
from pipelines.reports.rejects import REJECTED_SQL, query_words
from pipelines.reports.run_reporter import RunReporter
from pipelines.reports.work_done import work_done
from pipelines.terminal.answer import Answer
from pipelines.terminal.progress import duration_text
from transforms import storage
from transforms.formats.quantities import quantity
from transforms.table.layout import run_path
from transforms.table.snapshots import COUNTS, Run, Snapshot

FREQUENT_SQL = "SELECT tag, count(*) AS tracks FROM track_tags WHERE is_positive GROUP BY tag ORDER BY tracks DESC"


def published_answer(table: str, snapshot: Snapshot, run: Run, reporter: RunReporter) -> Answer:
    """The answer about a published run.

    Args:
      table: the table.
      snapshot: the snapshot that publishes the run.
      run: the run, with the counts and the measured work of this launch.
      reporter: has written the report of the run.
    """
    document = {
        "table": table,
        "snapshot": snapshot.number,
        "run_id": run.run_id,
        "content_hash": snapshot.run.content_hash,
        "counts": {name: run.counts[name] for name in COUNTS},
        "reasons": run.reasons,
        "plan": run.plan,
        **_measured(run, reporter.seconds),
        "manifest": storage.join(table, run_path(run.run_id)),
        "report": reporter.url,
        "next": query_words(table, REJECTED_SQL if run.reasons else FREQUENT_SQL),
    }
    return Answer(text="\n".join(_lines(document)), document=document)


def _measured(run: Run, seconds: float | None) -> dict[str, Any]:
    """Duration, rate and processor time; None if a value is not known."""
    core_s = sum(run.measured.get("core_seconds", {}).values()) if run.measured else None
    done = work_done(run.measured)
    return {
        "duration_s": None if seconds is None else round(seconds, 1),
        "tracks_per_s": None if seconds is None else round(run.counts["catalog"] / seconds, 2),
        "core_seconds": None if core_s is None else round(core_s, 2),
        "extracted": done.tried,
        "same_bytes": done.same_bytes,
        "core_seconds_per_extracted": round(core_s / done.tried, 4) if core_s is not None and done.tried else None,
    }


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    counted = ", ".join(f"{name} {count}" for name, count in document["counts"].items())
    yield f"snapshot {document['snapshot']} of {document['table']}: {counted}"
    yield from outcome_lines(document["plan"], document["same_bytes"])
    yield f"content hash {document['content_hash']}"
    if reasons := sorted(document["reasons"].items(), key=lambda item: (-item[1], item[0])):
        yield f"rejected: {', '.join(f'{reason} {count}' for reason, count in reasons)}"
    if work := ", ".join(_work(document)):
        yield work
    yield f"manifest: {document['manifest']}"
    if document["report"] is not None:
        yield f"report: {document['report']}"
    yield f"next: {document['next']}"


def _work(document: Mapping[str, Any]) -> Iterator[str]:
    if document["duration_s"] is not None:
        yield f"{quantity(document['counts']['catalog'], 'track')} in {duration_text(document['duration_s'])}"
        yield f"{document['tracks_per_s']:.4g} tracks/s"
    if document["core_seconds"] is not None:
        yield f"{document['core_seconds']:.4g} core-seconds"
    if document["core_seconds_per_extracted"] is not None:
        extracted = quantity(document["extracted"], "extracted track")
        yield f"{document['core_seconds_per_extracted']:.3g} for each of {extracted}"
