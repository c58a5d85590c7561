"""Known outcomes of a bucket's tracks, from the parent snapshot and from the part files of any run."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from transforms import storage
from transforms.formats.hashing import digest
from transforms.formats.parquet import parquet_bytes, read_parquet_of
from transforms.schemas.tables import FACT_NAMES, LEDGER, PART
from transforms.table.layout import part_folder
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.snapshots import Ids

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
    """

    root: str
    parent: int | None
    ids: Ids
    due_again: frozenset[str]
    retry_rejects: bool = False

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


def write_part(root: str, bucket: int, rows: pa.Table, embedding_id: str) -> str:
    """Writes the part file of one chunk, named by its content; returns its url. Writing it again has no effect."""
    data = parquet_bytes(rows.select(PART.names).cast(PART), ids={"embedding_id": embedding_id})
    url = storage.join(part_folder(root, bucket), f"{digest(data)[:24]}.parquet")
    with contextlib.suppress(storage.AlreadyExists):  # the name is a hash of the content: an earlier attempt wrote it
        storage.create(url, data)
    return url


def settled(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str] = OUTCOME.names) -> pa.Table:
    """Outcomes of the bucket's rows that need no extraction, sorted by track_id.

    An outcome is reused if track_id, source_version and embedding_id agree and it is not to be retried. For a
    reject of the parent snapshot, feature_id is compared instead of embedding_id. With `columns`, a caller avoids
    reading embeddings.
    """
    return known.keeps(_choose(known, bucket, rows, columns, latest=()))


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
    outcomes = _choose(known, bucket, rows, columns, latest)
    if outcomes.num_rows != rows.num_rows:
        lost = sorted(set(rows["track_id"].to_pylist()) - set(outcomes["track_id"].to_pylist()))
        raise RuntimeError(f"bucket {bucket}: {len(lost)} planned tracks have no outcome, e.g. {lost[:3]}")
    return outcomes


def added_tracks(known: PriorOutcomes, bucket: int, rows: pa.Table) -> int:
    """Number of the bucket's rows whose track is not in the parent snapshot."""
    if known.snapshot is None:
        return int(rows.num_rows)
    earlier = known.snapshot.scan("ledger", ["track_id"], bucket=bucket)["track_id"].combine_chunks()
    return int(pc.sum(pc.invert(pc.is_in(rows["track_id"], value_set=earlier))).as_py() or 0)


def due_ids(known: PriorOutcomes, bucket: int, rows: pa.Table) -> frozenset[str]:
    """Ids of the bucket's tracks whose reject in the parent snapshot is retried although the source is unchanged."""
    if known.snapshot is None:
        return frozenset()
    ledger = known.snapshot.scan("ledger", ["track_id", "source_version", "reason"], bucket=bucket)
    ledger = _same_source(ledger, rows)
    return frozenset(ledger.filter(known.due(ledger))["track_id"].to_pylist())


def _choose(
    known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str], latest: Iterable[str]
) -> pa.Table:
    """Chooses one outcome per track from the parent snapshot and all part files.

    The order of preference is: embedding of the snapshot, embedding of a part file, reject of the snapshot, reject of
    this launch, older reject, older reject that every run retries.
    """
    carried = _ranked(_carried(known, bucket, rows, columns), 0, 2)
    if carried.num_rows == rows.num_rows:  # the parent snapshot has an outcome of every track: skip part files
        return carried.sort_by("track_id").drop_columns("preference")
    names = {url.rpartition("/")[2] for url in latest}
    ranked = [carried]
    for name, part in _parts(known, bucket, rows, columns):
        ranked.append(_ranked(part, 1, 3 if name in names else pc.if_else(known.due(part), 5, 4)))
    order = pa.concat_tables(ranked).sort_by([("track_id", "ascending"), ("preference", "ascending")])
    ids = order["track_id"].combine_chunks()
    repeated = pc.equal(ids.slice(1), ids.slice(0, max(len(ids) - 1, 0)))
    first = pa.concat_arrays([pa.array([True] * min(len(ids), 1), pa.bool_()), pc.invert(repeated)])
    return order.filter(first).drop_columns("preference")


def _ranked(outcomes: pa.Table, embedded: int, rejected: int | pa.ChunkedArray) -> pa.Table:
    """Adds the column `preference`: of a track's outcomes, the one with the smallest value is chosen."""
    preference = pc.cast(pc.if_else(pc.is_null(outcomes["reason"]), embedded, rejected), pa.int8())
    return outcomes.append_column("preference", preference)


def _same_source(outcomes: pa.Table, rows: pa.Table) -> pa.Table:
    """The outcomes of tracks among the rows whose source version is unchanged."""
    wanted = rows["source_version"].take(pc.index_in(outcomes["track_id"], value_set=rows["track_id"].combine_chunks()))
    return outcomes.filter(pc.fill_null(pc.equal(outcomes["source_version"], wanted), False))


def _parts(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """Yields the name of each of the bucket's part files, and its outcomes of these rows."""
    extra, ids = {"run_id", "carried"}, {"embedding_id": known.ids.embedding_id}
    for file in storage.list_folder(part_folder(known.root, bucket)):
        if not file.url.endswith(".parquet"):
            continue
        part = read_parquet_of(file.url, ids, [name for name in columns if name not in extra])
        if part is None:
            continue
        part = part.append_column("run_id", pa.nulls(part.num_rows, pa.string()))
        part = part.append_column("carried", pa.array([False] * part.num_rows, pa.bool_()))
        yield file.url.rpartition("/")[2], _same_source(part, rows).select(columns).cast(_schema(columns))


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
