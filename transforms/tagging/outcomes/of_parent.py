"""Outcomes of a bucket's tracks that the parent snapshot has."""

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from transforms.schemas.parameters import PARAMETER_NAMES, PARAMETERS_ID
from transforms.schemas.tables import FACT_NAMES, LEDGER
from transforms.table.snapshots import DEFERRED
from transforms.tagging.measured_tracks import is_measured
from transforms.tagging.outcomes.prior import KEPT_IDS, OUTCOME, PriorOutcomes


def carried(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Outcomes in the parent snapshot that are reused: those of rows whose source version is unchanged."""
    found = _of_same_version(known, bucket, rows, columns)
    return found.filter(has_all(known, found)).select(columns)


def incomplete(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """What tracks keep whose parameters could not be measured: their outcomes in the parent snapshot."""
    found = _of_same_version(known, bucket, rows, columns)
    return found.filter(pc.invert(has_all(known, found))).select(columns)


def carried_by_bytes(
    known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str], digests: dict[str, str]
) -> pa.Table:
    """Outcomes in the parent snapshot that are reused because the sources were read and have the same bytes.

    They get the source versions of the rows.
    """

    def same_bytes(ledger: pa.Table) -> pa.Table:
        found = pa.array(map(digests.get, ledger["track_id"].to_pylist()), pa.string())
        ledger = ledger.filter(pc.fill_null(pc.equal(ledger["source_sha256"], found), False))
        index = pc.index_in(ledger["track_id"], value_set=rows["track_id"].combine_chunks())
        place = ledger.column_names.index("source_version")
        return ledger.set_column(place, LEDGER.field("source_version"), rows["source_version"].take(index))

    return _of_parent(known, bucket, columns, same_bytes)


def postponed(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Outcomes that tracks keep: those of the parent snapshot, and none for tracks that it does not have."""
    kept = LEDGER.empty_table()
    if known.snapshot is not None:
        kept = known.snapshot.scan("ledger", bucket=bucket)
        theirs = pc.is_in(kept["track_id"], value_set=rows["track_id"].combine_chunks())
        kept = kept.filter(pc.and_(theirs, pc.not_equal(kept["status"], DEFERRED)))
    own = known.has_own_ids(kept)
    for name in KEPT_IDS:
        kept = kept.append_column(f"kept_{name}", pc.if_else(own, pa.scalar(None, pa.string()), kept[name]))
    for name in ("tracks", "embeddings"):
        kept = _look_up(known, bucket, kept, name, columns)
    new = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=kept["track_id"].combine_chunks())))
    new = new.select(["track_id", "source_version"]).append_column("run_id", pa.array([""] * new.num_rows, pa.string()))
    both = []
    for table, carried in ((kept, True), (new, False)):
        for name, value in (("carried", carried), ("postponed", True)):
            table = table.append_column(name, pa.array([value] * table.num_rows, pa.bool_()))
        both.append(completed(table, columns))
    return pa.concat_tables(both)


def has_all(known: PriorOutcomes, outcomes: pa.Table) -> pa.ChunkedArray:
    """Which outcomes are reused as they are: if parameters are due, rejects and those with them; else all."""
    if not known.parameters_due:
        return pa.chunked_array([pa.array([True] * outcomes.num_rows, pa.bool_())])
    return pc.or_(pc.is_valid(outcomes["reason"]), is_measured(outcomes, known.parameters_id, *known.parameters_kept))


def with_parameters_id(known: PriorOutcomes, columns: Sequence[str]) -> list[str]:
    """The columns, and those that `has_all` needs."""
    return list(dict.fromkeys([*columns, *(("reason", PARAMETERS_ID) if known.parameters_due else ())]))


def same_source(outcomes: pa.Table, rows: pa.Table) -> pa.Table:
    """The outcomes of tracks among the rows whose source version is unchanged."""
    wanted = rows["source_version"].take(pc.index_in(outcomes["track_id"], value_set=rows["track_id"].combine_chunks()))
    return outcomes.filter(pc.fill_null(pc.equal(outcomes["source_version"], wanted), False))


def completed(outcomes: pa.Table, columns: Sequence[str] = tuple(OUTCOME.names)) -> pa.Table:
    """These columns of the outcomes; null where a column is missing."""
    for name in columns:
        if name not in outcomes.column_names:
            outcomes = outcomes.append_column(name, pa.nulls(outcomes.num_rows, OUTCOME.field(name).type))
    return outcomes.select(columns).cast(_schema(columns))


def lacking_parameters(known: PriorOutcomes, bucket: int, ledger: pa.Table, *kept: str) -> list[str]:
    """Ids of the tracks of the parent's ledger that have an embedding, and no parameters of the run's id.

    Args:
      known: outcomes of earlier runs.
      bucket: number of the bucket.
      ledger: rows of the bucket.
      kept: other ids of parameters that count as well.
    """
    embedded = ledger["track_id"].filter(pc.is_null(ledger["reason"]))
    if known.parent_has_parameters and known.snapshot is not None:
        rows = known.snapshot.scan("tracks", ["track_id", PARAMETERS_ID], bucket=bucket)
        done = rows["track_id"].filter(is_measured(rows, known.parameters_id, *kept)).combine_chunks()
        embedded = embedded.filter(pc.invert(pc.is_in(embedded, value_set=done)))
    found: list[str] = embedded.to_pylist()
    return found


def _of_same_version(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    columns = with_parameters_id(known, columns)
    return _of_parent(known, bucket, columns, lambda ledger: same_source(ledger, rows))


def _of_parent(
    known: PriorOutcomes, bucket: int, columns: Sequence[str], choose: Callable[[pa.Table], pa.Table]
) -> pa.Table:
    """Outcomes in the parent snapshot that may be reused, among the rows of its ledger that `choose` returns."""
    parent = known.snapshot
    if parent is None:
        return _schema(columns).empty_table()
    needed = {*columns, "track_id", "source_version", "source_sha256", "reason", *known.row_columns}
    names = [name for name in LEDGER.names if name in needed]
    ledger = known.reusable(choose(parent.scan("ledger", names, bucket=bucket)))
    ledger = ledger.append_column("carried", pa.array([True] * ledger.num_rows, pa.bool_()))
    for name in ("tracks", "embeddings"):
        ledger = _look_up(known, bucket, ledger, name, columns)
    return completed(ledger, columns)


def _look_up(known: PriorOutcomes, bucket: int, ledger: pa.Table, name: str, columns: Sequence[str]) -> pa.Table:
    """Appends the columns that are only in this table of the parent; null for rejected tracks, and for other trunks."""
    own = {"tracks": FACT_NAMES + PARAMETER_NAMES, "embeddings": ("embedding",)}[name]
    wanted = [column for column in own if column in columns]
    if not known.parent_has_parameters:
        wanted = [column for column in wanted if column not in PARAMETER_NAMES]
    parent = known.snapshot
    if not wanted or parent is None:
        return ledger
    if name == "embeddings":
        if known.ids.embedding_id not in parent.manifest.run.embedding_ids:
            return ledger
        found = parent.scan(name, ["track_id", *wanted], bucket=bucket, embedding_id=known.ids.embedding_id)
    else:
        found = parent.scan(name, ["track_id", *wanted], bucket=bucket)
    index = pc.index_in(ledger["track_id"], value_set=found["track_id"].combine_chunks())
    for column in wanted:
        ledger = ledger.append_column(column, found[column].take(index))
    return ledger


def _schema(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([OUTCOME.field(name) for name in columns])
