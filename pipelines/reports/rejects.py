"""Rejected tracks by reason, with examples, for runs that a gate refused."""

import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.dataset.manifest import REJECTS
from transforms.formats.parquet import ParquetError, read_parquet
from transforms.formats.quantities import quantity
from transforms.publishing.finished import open_run
from transforms.publishing.gates import GateLimits
from transforms.publishing.judging import GateResult
from transforms.table.snapshots import Run
from transforms.table.versions import TableError

MOST_EXAMPLES = 10
"""Examples of a reason."""

REJECTED_SQL = "SELECT reason, track_id, uri, detail FROM ledger WHERE status = 'rejected' ORDER BY reason, track_id"
"""The query that lists all rejected tracks of a snapshot or run."""

_REJECT_GATES = ("unknown", "unavailable", "rejected", "more_rejected")
"""Gates whose offenders are rejected tracks."""

_LONGEST = 160
_COLUMNS = ("track_id", "uri", "reason", "detail")


def reject_lines(reasons: Mapping[str, int], rows: Iterable[pa.RecordBatch]) -> Iterator[str]:
    """Yields each reason with its number of tracks, the most frequent first, and up to ten examples of each.

    Args:
      reasons: reason -> number of rejected tracks.
      rows: batches with the columns track_id, reason, detail, and uri if it is known. Reading ends as soon as all
        examples are found.
    """
    examples = _examples(reasons, rows)
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        found = examples[reason]
        tracks = f"{reason}: {quantity(count, 'track')}"
        yield f"{tracks}, for example" if count > len(found) > 0 else tracks
        yield from (f"  {line}" for line in found)


def _examples(reasons: Mapping[str, int], rows: Iterable[pa.RecordBatch]) -> dict[str, list[str]]:
    missing = {reason: min(count, MOST_EXAMPLES) for reason, count in reasons.items()}
    found: dict[str, list[str]] = defaultdict(list)
    for batch in rows:
        rejected = batch.filter(pc.is_in(batch["reason"], value_set=pa.array([*missing], pa.string())))
        for row in rejected.to_pylist() if rejected.num_rows else ():
            if len(found[row["reason"]]) < missing.get(row["reason"], 0):
                found[row["reason"]].append(_line(row))
        missing = {reason: most for reason, most in missing.items() if len(found[reason]) < most}
        if not missing:
            break
    return found


def _line(row: Mapping[str, str | None]) -> str:
    named = [row["track_id"], row.get("uri"), row["detail"]]
    return ", ".join(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..." for text in named if text)


def refused_run_lines(table: str, run: Run, limits: GateLimits) -> Iterator[str]:
    """Yields the reasons of a refused run with examples, and the query for all; nothing if rejects did not matter."""
    tried, rejected, unavailable = (run.counts[name] for name in ("catalog", "rejected", "unavailable"))
    within = rejected <= limits.max_reject_ratio * tried and unavailable <= limits.max_unavailable_ratio * tried
    if not run.reasons or run.rolled_back_to is not None or (within and "unknown" not in run.reasons):
        return
    try:
        yield from reject_lines(run.reasons, open_run(table, run.run_id).batches("ledger", _COLUMNS))
    except (storage.StorageError, TableError) as error:  # the reason of the refusal matters more
        yield f"its ledger cannot be read: {error}"
        return
    yield f"all of them: {query_words(table, REJECTED_SQL, run.run_id)}"


def without_tracks(message: str, results: Iterable[GateResult]) -> str:
    """The message of a refusal without the tracks that gates on rejects name: `reject_lines` lists them."""
    tracks = {f"  {track}" for result in results if result.name in _REJECT_GATES for track in result.offenders}
    return "\n".join(line for line in message.split("\n") if line not in tracks)


def refused_dataset_lines(dataset: str) -> Iterator[str]:
    """Yields the reasons of an unfinished dataset with examples; nothing if no track was rejected."""
    try:
        rows = read_parquet(storage.join(dataset, REJECTS), _COLUMNS)
    except (storage.StorageError, ParquetError):  # the reason of the refusal matters more
        return
    counted = rows["reason"].value_counts().to_pylist()
    yield from reject_lines({entry["values"]: entry["counts"] for entry in counted}, rows.to_batches())


def query_words(table: str, sql: str, run_id: str | None = None) -> str:
    """The command line of a query, to be pasted into a shell."""
    run = "" if run_id is None else f" --run {run_id}"
    return f'catalog-tagger query {shlex.quote(table)}{run} "{sql}"'
