"""The answer of `tag --sample`: what a run over all tracks would change, and what the gates say."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.reports.plan_outcome import outcome_lines
from pipelines.reports.rejects import reject_lines, without_tracks
from pipelines.reports.run_reporter import RunReporter, of_launch
from pipelines.reports.work_done import work_done
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import DONE, REFUSED
from transforms.comparison.report import to_text
from transforms.formats.quantities import quantity
from transforms.publishing.judging import GateResult, gates_json, refusal, unmeasured
from transforms.publishing.receipts import Receipt
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import COUNTS


def canary_answer(
    table: str,
    sampled: SnapshotReader,
    results: tuple[GateResult, ...],
    receipt: Receipt,
    comparison: Mapping[str, Any] | None,
    reporter: RunReporter,
) -> Answer:
    """Writes the report, and returns the answer.

    Args:
      table: root of the table.
      sampled: the tables of the sample.
      results: results of all gates.
      receipt: receipt of the launch.
      comparison: the difference to the last snapshot; None if there is no snapshot.
      reporter: writes the report.
    """
    refused = refusal(results)
    cause = "" if refused is None else f"a run over all tracks would not be published: {refused}"
    reporter.sampled(sampled.manifest.run, results, receipt, cause, comparison)
    run = of_launch(sampled.manifest.run, receipt)
    document = {
        "table": table,
        "published": False,
        "passed": refused is None,
        "run_id": run.run_id,
        "counts": {name: run.counts[name] for name in COUNTS},
        "reasons": run.reasons,
        "gates": gates_json(results),
        "not_measured": unmeasured([result.name for result in results]),
        "plan": run.plan,
        "same_bytes": work_done(run.measured).same_bytes,
        "comparison": comparison,
        "report": reporter.url,
    }
    examples = [] if refused is None else list(reject_lines(run.reasons, sampled.batches("ledger", _LEDGER)))
    told = without_tracks(cause, results) if examples else cause
    lines = [*_lines(document), *([told, *examples] if cause else [])]
    rows = [] if comparison is None else comparison["tags"]
    code = DONE if refused is None else REFUSED
    return Answer(text="\n".join(lines), document=document, rows=rows or None, code=code)


_LEDGER = ("track_id", "uri", "reason", "detail")


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    counts, gates = document["counts"], document["gates"]
    yield (
        f"sample of {quantity(counts['catalog'], 'track')}, not published: {counts['tagged']} tagged, "
        f"{counts['carried']} carried, {counts['rejected']} rejected"
    )
    yield from outcome_lines(document["plan"], document["same_bytes"])
    if document["comparison"] is None:
        yield "there is no snapshot to compare with"
    else:
        yield to_text(document["comparison"]).rstrip("\n")
    failed = [name for name, result in gates.items() if not result["passed"]]
    skipped = len(document["not_measured"])
    yield f"gates: {len(gates) - len(failed)} passed" + (
        (f", failed: {', '.join(failed)}" if failed else "") + (f"; {skipped} not measured" if skipped else "")
    )
    yield from (f"  {name}: {result['value']:.6g}, limit {result['limit']:.6g}" for name, result in gates.items())
    yield from (f"  {name}: not measured: it needs {needs}" for name, needs in document["not_measured"].items())
    if document["report"] is not None:
        yield f"report: {document['report']}"
