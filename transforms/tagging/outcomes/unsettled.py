"""What is left to do of a bucket: the tracks of which no run has an outcome that is reused."""

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from transforms.audio.errors import SourceNotFound
from transforms.extraction.kill_history import KILLED, last_run
from transforms.formats.arrow import group_numbers
from transforms.tagging.outcomes.candidates import outcome_candidates, preferred
from transforms.tagging.outcomes.of_parent import lacking_parameters, same_source
from transforms.tagging.outcomes.prior import MISSING, PriorOutcomes


class Unsettled(NamedTuple):
    """What is left to do of a bucket.

    Attributes:
      rows: the rows whose tracks need extraction.
      settled: the outcomes that are reused for the other rows: `track_id`, `source_version`, `reason`, `detail`,
        `carried`.
      due: ids of the tracks whose reject in the parent snapshot is retried although the source is unchanged.
      histories: track_id -> `detail` that says in which earlier runs the machine ended the track's decoding process.
      digests: track_id -> SHA-256 of the bytes whose outcome is reused, although the source has another version now, or
        the outcome lacks parameters.
      unmeasured: ids of the tracks whose outcome is reused except for its parameters, if their bytes are the same.
      kept: ids of the tracks of an unchanged source version that keep their outcome if they cannot be measured.
      postponed: the rows whose tracks need extraction and are left to a later run.
    """

    rows: pa.Table
    settled: pa.Table
    due: frozenset[str]
    histories: dict[str, str]
    digests: dict[str, str]
    postponed: pa.Table
    unmeasured: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()


_PLANNED = ("track_id", "source_version", "reason", "detail", "carried")
_LEDGER = (*_PLANNED[:4], "source_sha256")


def unsettled(known: PriorOutcomes, bucket: int, rows: pa.Table) -> Unsettled:
    """The bucket's rows for which no earlier run, published or killed, has an outcome that is reused."""
    candidates = outcome_candidates(known, bucket, rows, _PLANNED, latest=())
    done = known.keeps(preferred(candidates))
    todo = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=done["track_id"].combine_chunks())))
    postponed = todo.slice(0, 0)
    if known.choice is not None:
        chosen = pc.is_in(todo["track_id"], value_set=known.choice.of_bucket(bucket))
        todo, postponed = todo.filter(chosen), todo.filter(pc.invert(chosen))
    if todo.num_rows == 0 or known.snapshot is None:
        return Unsettled(todo, done, frozenset(), _histories(candidates), {}, postponed)
    ledger = known.snapshot.scan("ledger", [*_LEDGER, *known.row_columns], bucket=bucket)
    same = same_source(ledger, todo)
    due = frozenset(same.filter(known.due(same))["track_id"].to_pylist())
    histories, reused = _histories(same) | _histories(candidates), _reused_by_bytes(known, ledger, todo)
    digests = dict(zip(reused["track_id"].to_pylist(), reused["source_sha256"].to_pylist(), strict=True))
    if not known.parameters_due:
        return Unsettled(todo, done, due, histories, digests, postponed)
    lacking, own = lacking_parameters(known, bucket, reused, *known.parameters_kept), known.reusable(same)
    kept = own["track_id"].filter(pc.is_null(own["reason"])).to_pylist()
    return Unsettled(todo, done, due, histories, digests, postponed, frozenset(lacking), frozenset(kept))


def unsettled_ids(known: PriorOutcomes, rows: pa.Table, buckets: int) -> Iterator[str]:
    """Yields the ids of those rows whose sources decide the run; sources without a version are taken as missing.

    These are the tracks that need extraction, and those that an unpublished run has rejected because their sources were
    not there: such a reject is reused and not looked up again.

    Args:
      known: outcomes of earlier runs.
      rows: catalog rows of any buckets.
      buckets: number of buckets of the table.
    """
    index = rows.column_names.index("source_version")
    versions = pc.fill_null(rows["source_version"], MISSING)
    rows = rows.set_column(index, "source_version", versions).sort_by("track_id")
    numbers = pa.array(group_numbers(rows["track_id"].to_pylist(), buckets))
    for bucket in pc.unique(numbers).to_pylist():
        left = unsettled(known, bucket, rows.filter(pc.equal(numbers, bucket)))
        yield from left.rows["track_id"].to_pylist()
        absent = pc.fill_null(pc.equal(left.settled["reason"], SourceNotFound.reason), False)
        yield from left.settled["track_id"].filter(pc.and_not(absent, left.settled["carried"])).to_pylist()


def _reused_by_bytes(known: PriorOutcomes, ledger: pa.Table, todo: pa.Table) -> pa.Table:
    """Rows of the parent's ledger whose outcomes are reused if the bytes are the same; they have a SHA-256."""
    if not known.compare_bytes:
        return ledger.slice(0, 0)
    earlier = ledger.filter(pc.is_in(ledger["track_id"], value_set=todo["track_id"].combine_chunks()))
    return known.reusable(earlier.filter(pc.is_valid(earlier["source_sha256"])))


def _histories(outcomes: pa.Table) -> dict[str, str]:
    """The longest history of each track among its outcomes."""
    told = outcomes.filter(pc.fill_null(pc.starts_with(outcomes["detail"], KILLED), False))
    pairs = zip(told["track_id"].to_pylist(), told["detail"].to_pylist(), strict=True)
    return dict(sorted(pairs, key=lambda pair: last_run(pair[1])))
