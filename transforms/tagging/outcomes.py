"""Known outcomes of a bucket's tracks, from the parent snapshot and from the part files of any run."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from transforms.extraction.kill_history import KILLED, last_run
from transforms.formats.arrow import group_numbers
from transforms.schemas.tables import FACT_NAMES, LEDGER, PART
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.snapshots import Ids
from transforms.tagging.part_files import Promised, read_parts

MISSING = "missing"
"""Source version of a file that is not in the listing of its folder."""

OUTCOME = pa.schema(
    [
        *PART,
        pa.field("run_id", pa.string()),
        pa.field("carried", pa.bool_(), nullable=False),
    ]
)
"""A row of a part file, plus `carried`: whether the outcome is from the parent snapshot.

`run_id` is the run that last extracted a carried track, and null for other tracks.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PriorOutcomes:
    """What earlier runs have already computed for this table, and the ids under which those results may be reused.

    Attributes:
      root: folder or gs:// prefix of the table.
      parent: number of the snapshot that this run follows. Workers read the snapshot, so the graph stays small.
      due_again: reasons for which every run retries a rejected track.
      retry_rejects: whether this run retries all rejected tracks.
      buckets: number of buckets of the table; None: the ids in part files are not compared with their bucket.
      dim: length of an embedding; None: it is not compared with the part files.
    """

    root: str
    parent: int | None
    ids: Ids
    due_again: frozenset[str]
    retry_rejects: bool = False
    buckets: int | None = None
    dim: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Returns only the fields: the cached `snapshot` is not sent to workers."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @functools.cached_property
    def snapshot(self) -> SnapshotReader | None:
        """The parent snapshot. It is opened once, because all buckets of a worker need it."""
        return None if self.parent is None else open_snapshot(self.root, self.parent)

    def keeps(self, outcomes: pa.Table) -> pa.Table:
        """Returns the outcomes that are reused: embedded tracks, and rejected tracks that are not retried."""
        return outcomes.filter(pc.invert(pc.is_valid(outcomes["reason"]) if self.retry_rejects else self.due(outcomes)))

    def due(self, outcomes: pa.Table) -> pa.ChunkedArray:
        """Returns which outcomes are rejects that every run retries: bool [rows]."""
        again = pc.is_in(outcomes["reason"], value_set=pa.array(sorted(self.due_again), pa.string()))
        return pc.and_(again, pc.not_equal(outcomes["source_version"], MISSING))


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
    outcomes = _best(_candidates(known, bucket, rows, columns, latest))
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


class Unsettled(NamedTuple):
    """What is left to do of a bucket.

    Attributes:
      rows: the rows whose tracks need extraction.
      due: ids of the tracks whose reject in the parent snapshot is retried although the source is unchanged.
      histories: track_id -> `detail` that says in which earlier runs the machine ended the track's decoding process.
    """

    rows: pa.Table
    due: frozenset[str]
    histories: dict[str, str]


_PLANNED = ("track_id", "source_version", "reason", "detail", "carried")


def unsettled(known: PriorOutcomes, bucket: int, rows: pa.Table) -> Unsettled:
    """The bucket's rows for which no earlier run, published or killed, has an outcome that is reused."""
    candidates = _candidates(known, bucket, rows, _PLANNED, latest=())
    done = known.keeps(_best(candidates))
    todo = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=done["track_id"].combine_chunks())))
    if todo.num_rows == 0 or known.snapshot is None:
        return Unsettled(todo, frozenset(), _histories(candidates))
    ledger = _same_source(known.snapshot.scan("ledger", list(_PLANNED[:4]), bucket=bucket), todo)
    due = frozenset(ledger.filter(known.due(ledger))["track_id"].to_pylist())
    return Unsettled(todo, due, _histories(ledger) | _histories(candidates))


def unsettled_ids(known: PriorOutcomes, rows: pa.Table, buckets: int) -> Iterator[str]:
    """Yields the ids of those rows whose tracks need extraction; sources without a version are taken as missing.

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
        yield from unsettled(known, bucket, rows.filter(pc.equal(numbers, bucket))).rows["track_id"].to_pylist()


def _histories(outcomes: pa.Table) -> dict[str, str]:
    """The longest history of each track among its outcomes."""
    told = outcomes.filter(pc.fill_null(pc.starts_with(outcomes["detail"], KILLED), False))
    pairs = zip(told["track_id"].to_pylist(), told["detail"].to_pylist(), strict=True)
    return dict(sorted(pairs, key=lambda pair: last_run(pair[1])))


def _candidates(
    known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str], latest: Iterable[str]
) -> pa.Table:
    """Outcomes of the rows in the parent snapshot and in all part files, with `preference`: the smallest is chosen.

    The order of preference is: embedding of the snapshot, embedding of a part file, reject of the snapshot, reject of
    this launch, older reject, older reject that every run retries.
    """
    carried = _carried(known, bucket, rows, columns)
    ranked = [_ranked(carried, 0, 2)]
    if carried.num_rows < rows.num_rows:  # else the parent snapshot has an outcome of every track
        embedded = carried.filter(pc.is_null(carried["reason"]))["track_id"].combine_chunks()
        left = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=embedded)))
        names = {url.rpartition("/")[2] for url in latest}
        for name, part in _parts(known, bucket, left, columns):
            ranked.append(_ranked(part, 1, 3 if name in names else pc.if_else(known.due(part), 5, 4)))
    return pa.concat_tables(ranked)


def _best(candidates: pa.Table) -> pa.Table:
    """One outcome per track, sorted by track_id."""
    order = candidates.sort_by([("track_id", "ascending"), ("preference", "ascending")])
    ids = order["track_id"].combine_chunks()
    repeated = pc.equal(ids.slice(1), ids.slice(0, max(len(ids) - 1, 0)))
    first = pa.concat_arrays([pa.array([True] * min(len(ids), 1), pa.bool_()), pc.invert(repeated)])
    return order.filter(first).drop_columns("preference")


def _ranked(outcomes: pa.Table, embedded: int, rejected: int | pa.ChunkedArray) -> pa.Table:
    """Adds the column `preference`."""
    preference = pc.cast(pc.if_else(pc.is_null(outcomes["reason"]), embedded, rejected), pa.int8())
    return outcomes.append_column("preference", preference)


def _same_source(outcomes: pa.Table, rows: pa.Table) -> pa.Table:
    """The outcomes of tracks among the rows whose source version is unchanged."""
    wanted = rows["source_version"].take(pc.index_in(outcomes["track_id"], value_set=rows["track_id"].combine_chunks()))
    return outcomes.filter(pc.fill_null(pc.equal(outcomes["source_version"], wanted), False))


def _parts(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """Yields the name of each of the bucket's part files, and its outcomes of these rows."""
    promised = Promised(bucket, known.buckets, known.ids.embedding_id, known.dim)
    stored = [name for name in {*columns, "track_id", "source_version"} if name in PART.names]
    # A look-up of its own for each of hundreds of small files would hash all rows again.
    versions = dict(zip(rows["track_id"].to_pylist(), rows["source_version"].to_pylist(), strict=True))
    for name, part in read_parts(known.root, promised, stored, versions):
        pairs = zip(part["track_id"].to_pylist(), part["source_version"].to_pylist(), strict=True)
        part = part.filter(pa.array([versions.get(track) == version for track, version in pairs], pa.bool_()))
        part = part.append_column("run_id", pa.nulls(part.num_rows, pa.string()))
        part = part.append_column("carried", pa.array([False] * part.num_rows, pa.bool_()))
        yield name, part.select(columns).cast(_schema(columns))


def _carried(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Outcomes of these rows in the parent snapshot: embeddings with the same id, rejects with the same features."""
    parent = known.snapshot
    if parent is None or parent.manifest.run.ids.feature_id != known.ids.feature_id:
        return _schema(columns).empty_table()
    names = [name for name in LEDGER.names if name in {*columns, "track_id", "source_version", "reason"}]
    ledger = known.keeps(_same_source(parent.scan("ledger", names, bucket=bucket), rows))
    if parent.manifest.run.ids.embedding_id != known.ids.embedding_id:
        ledger = ledger.filter(pc.is_valid(ledger["reason"]))
    ledger = ledger.append_column("carried", pa.array([True] * ledger.num_rows, pa.bool_()))
    for name in ("tracks", "embeddings"):
        ledger = _look_up(parent, bucket, ledger, name, columns)
    return ledger.select(columns).cast(_schema(columns))


def _look_up(parent: SnapshotReader, bucket: int, ledger: pa.Table, name: str, columns: Sequence[str]) -> pa.Table:
    """Appends the columns that are only in this table of the parent; null for rejected tracks."""
    own = {"tracks": FACT_NAMES, "embeddings": ("embedding",)}[name]
    wanted = [column for column in own if column in columns]
    if not wanted:
        return ledger
    found = parent.scan(name, ["track_id", *wanted], bucket=bucket)
    index = pc.index_in(ledger["track_id"], value_set=found["track_id"].combine_chunks())
    for column in wanted:
        ledger = ledger.append_column(column, found[column].take(index))
    return ledger


def _schema(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([OUTCOME.field(name) for name in columns])
