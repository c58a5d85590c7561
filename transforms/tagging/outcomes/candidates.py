"""All outcomes of a bucket's tracks, from the parent snapshot and from the part files of any run, by preference."""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from transforms.schemas.parameters import PARAMETERS_ID
from transforms.schemas.tables import PART
from transforms.tagging.choice import ChosenTracks
from transforms.tagging.measured_tracks import is_measured, with_measured
from transforms.tagging.outcomes.of_parent import (
    carried,
    carried_by_bytes,
    completed,
    has_all,
    postponed,
    with_parameters_id,
)
from transforms.tagging.outcomes.prior import OUTCOME, PriorOutcomes
from transforms.tagging.part_files import Promised, read_parts


def outcome_candidates(
    known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str], latest: Iterable[str]
) -> pa.Table:
    """Outcomes of the rows in the parent snapshot and in all part files, with `preference`: the smallest is chosen.

    What is carried from the snapshot is used: an embedding, or a reject that is not retried. For other rows, the order
    of preference is: embedding of a part file, reject of this launch, older reject, older reject that is due again.
    Part files never replace a carried reject: otherwise an interrupted run, or another track of the bucket, would
    change the result.
    """
    kept = carried(known, bucket, rows, columns)
    found = [ranked(kept, 0, 0)]
    if kept.num_rows < rows.num_rows:  # else the parent snapshot has an outcome of every track
        left = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=kept["track_id"].combine_chunks())))
        names = {url.rpartition("/")[2] for url in latest}
        same: dict[str, str] = {}
        measured: list[pa.Table] = []
        for name, part in _parts(known, bucket, left, (*columns, "reason", "stage", "source_sha256", PARAMETERS_ID)):
            only_read = pc.and_(pc.is_null(part["reason"]), pc.is_valid(part["stage"]))
            read, part = part.filter(only_read), part.filter(pc.invert(only_read))
            same |= zip(read["track_id"].to_pylist(), read["source_sha256"].to_pylist(), strict=True)
            measured.append(read.filter(is_measured(read, known.parameters_id)))
            part = part.filter(has_all(known, part)).select(columns)
            found.append(ranked(part, 1, 3 if name in names else pc.if_else(known.due(part), 5, 4)))
        if same:
            by_bytes = carried_by_bytes(known, bucket, left, with_parameters_id(known, columns), same)
            by_bytes = with_measured(by_bytes, pa.concat_tables(measured))
            found.append(ranked(by_bytes.filter(has_all(known, by_bytes)).select(columns), 0, 2))
    return pa.concat_tables(found)


def preferred(candidates: pa.Table) -> pa.Table:
    """One outcome per track, sorted by track_id."""
    order = candidates.sort_by([("track_id", "ascending"), ("preference", "ascending")])
    ids = order["track_id"].combine_chunks()
    repeated = pc.equal(ids.slice(1), ids.slice(0, max(len(ids) - 1, 0)))
    first = pa.concat_arrays([pa.array([True] * min(len(ids), 1), pa.bool_()), pc.invert(repeated)])
    return order.filter(first).drop_columns("preference")


def ranked(outcomes: pa.Table, embedded: int, rejected: int | pa.ChunkedArray) -> pa.Table:
    """Adds the column `preference`."""
    preference = pc.cast(pc.if_else(pc.is_null(outcomes["reason"]), embedded, rejected), pa.int8())
    return outcomes.append_column("preference", preference)


def postponing(
    known: PriorOutcomes, choice: ChosenTracks, bucket: int, rows: pa.Table, candidates: pa.Table
) -> pa.Table:
    """The candidates, with those of postponed tracks replaced by what the tracks keep until a later run."""
    done = known.keeps(preferred(candidates))["track_id"].combine_chunks()
    open_ = pc.or_(pc.is_in(rows["track_id"], value_set=done), pc.is_in(rows["track_id"], choice.of_bucket(bucket)))
    waiting = rows.filter(pc.invert(open_))
    ids = waiting["track_id"].combine_chunks()
    candidates = candidates.filter(pc.invert(pc.is_in(candidates["track_id"], value_set=ids)))
    columns = [name for name in candidates.column_names if name in OUTCOME.names]
    return pa.concat_tables([candidates, ranked(postponed(known, bucket, waiting, columns), 0, 0)])


def _parts(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """Yields the name of each of the bucket's part files, and its outcomes of these rows."""
    columns = list(dict.fromkeys(columns))
    promised = Promised(bucket, known.buckets, known.ids.embedding_id, known.dim)
    stored = [name for name in {*columns, "track_id", "source_version"} if name in PART.names]
    # A look-up of its own for each of hundreds of small files would hash all rows again.
    versions = dict(zip(rows["track_id"].to_pylist(), rows["source_version"].to_pylist(), strict=True))
    for name, part in read_parts(known.root, promised, stored, versions):
        pairs = zip(part["track_id"].to_pylist(), part["source_version"].to_pylist(), strict=True)
        part = part.filter(pa.array([versions.get(track) == version for track, version in pairs], pa.bool_()))
        part = part.append_column("carried", pa.array([False] * part.num_rows, pa.bool_()))
        yield name, completed(part, columns)
