"""The outcome of every track of a bucket once its chunks are done."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from transforms.tagging.outcomes.candidates import outcome_candidates, postponing, preferred, ranked
from transforms.tagging.outcomes.of_parent import incomplete
from transforms.tagging.outcomes.prior import OUTCOME, PriorOutcomes


def assembled(
    known: PriorOutcomes,
    bucket: int,
    rows: pa.Table,
    columns: Sequence[str] = OUTCOME.names,
    *,
    latest: Iterable[str] = (),
) -> pa.Table:
    """Outcomes of all the bucket's rows once its chunks are done, sorted by track_id.

    Args:
      latest: urls of the part files of this launch. If a track has several rejects, theirs is used.

    Raises:
      RuntimeError: a planned track has no outcome.
    """
    candidates = outcome_candidates(known, bucket, rows, columns, latest)
    if known.choice is not None:
        candidates = postponing(known, known.choice, bucket, rows, candidates)
    if known.parameters_due:
        candidates = pa.concat_tables([candidates, ranked(incomplete(known, bucket, rows, columns), 2, 2)])
    outcomes = preferred(candidates)
    if outcomes.num_rows != rows.num_rows:
        lost = sorted(set(rows["track_id"].to_pylist()) - set(outcomes["track_id"].to_pylist()))
        raise RuntimeError(
            f"bucket {bucket}: {len(lost)} planned tracks have no outcome, e.g. {lost[:3]}, because a part file was "
            "damaged or removed during the run: run it again, only these tracks are decoded again"
        )
    return outcomes


def added_tracks(known: PriorOutcomes, bucket: int, rows: pa.Table) -> int:
    """Number of the bucket's rows whose track is not in the parent snapshot."""
    if known.snapshot is None:
        return int(rows.num_rows)
    earlier = known.snapshot.scan("ledger", ["track_id"], bucket=bucket)["track_id"].combine_chunks()
    return int(pc.sum(pc.invert(pc.is_in(rows["track_id"], value_set=earlier))).as_py() or 0)
