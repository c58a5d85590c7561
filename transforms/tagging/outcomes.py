"""What became of a bucket's tracks so far: from the parent snapshot and from part files, whoever wrote them."""

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
from transforms.schemas.tables import LEDGER, PART
from transforms.table.layout import part_folder
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.snapshots import Ids

MISSING = "missing"
"""Source version of a file that no listing of its folder showed."""

OUTCOME = pa.schema(
    [
        *PART,
        pa.field("run_id", pa.string()),
        pa.field("carried", pa.bool_(), nullable=False),
    ]
)
"""A part file's row, with the run of a carried track (null for one extracted since) and whether it is carried."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PriorOutcomes:
    """Where earlier outcomes of a table may be found, and with which ids they are worth something.

    Attributes:
      root: folder or gs:// prefix of the table.
      parent: number of the snapshot that this run follows; workers read it themselves, so the graph stays small.
      due_again: reasons for which a rejected track is tried again in every run.
      retry_rejects: try every rejected track again.
    """

    root: str
    parent: int | None
    ids: Ids
    due_again: frozenset[str]
    retry_rejects: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone: what `snapshot` has read is not sent to workers."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @functools.cached_property
    def snapshot(self) -> SnapshotReader | None:
        """The parent snapshot, opened once: all buckets of a worker ask for it."""
        return None if self.parent is None else open_snapshot(self.root, self.parent)

    def keeps(self, outcomes: pa.Table) -> pa.Table:
        """The outcomes that stand: embedded tracks, and rejected ones that are not tried again."""
        return outcomes.filter(pc.invert(pc.is_valid(outcomes["reason"]) if self.retry_rejects else self.due(outcomes)))

    def due(self, outcomes: pa.Table) -> pa.ChunkedArray:
        """Which outcomes are rejects that every run tries again: bool [rows]."""
        again = pc.is_in(outcomes["reason"], value_set=pa.array(sorted(self.due_again), pa.string()))
        return pc.and_(again, pc.not_equal(outcomes["source_version"], MISSING))


def write_part(root: str, bucket: int, rows: pa.Table, embedding_id: str) -> str:
    """Writes one chunk's part file, named by its content; returns its url. Writing it again changes nothing."""
    data = parquet_bytes(rows.select(PART.names).cast(PART), ids={"embedding_id": embedding_id})
    url = storage.join(part_folder(root, bucket), f"{digest(data)[:24]}.parquet")
    with contextlib.suppress(storage.AlreadyExists):  # the name is the content's hash: an earlier try finished
        storage.create(url, data)
    return url


def settled(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str] = OUTCOME.names) -> pa.Table:
    """Outcomes of those of the bucket's rows that need no extraction, sorted by track_id.

    An outcome counts when track_id, source_version and embedding_id agree and it is not due again; `columns` spares
    reading embeddings where only outcomes matter.
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
      latest: urls of the part files of this launch: of several rejects of a track, theirs is told.

    Raises:
      RuntimeError: a planned track left no outcome behind.
    """
    found = _choose(known, bucket, rows, columns, latest)
    if found.num_rows != rows.num_rows:
        lost = sorted(set(rows["track_id"].to_pylist()) - set(found["track_id"].to_pylist()))
        raise RuntimeError(f"bucket {bucket}: {len(lost)} planned tracks left no outcome, e.g. {lost[:3]}")
    return found


def due_ids(known: PriorOutcomes, bucket: int, rows: pa.Table) -> frozenset[str]:
    """Those of the bucket's tracks that the parent snapshot holds as due again, their source unchanged."""
    if known.snapshot is None:
        return frozenset()
    ledger = known.snapshot.scan("ledger", ["track_id", "source_version", "reason"], bucket=bucket)
    ledger = _same_source(ledger, rows)
    return frozenset(ledger.filter(known.due(ledger))["track_id"].to_pylist())


def _choose(
    known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str], latest: Iterable[str]
) -> pa.Table:
    """One outcome a track: the snapshot's, else of all part files the best.

    An embedding goes before a reject, the snapshot before part files, a reject of this launch before an older one, and
    one that stands before one that is due again.
    """
    carried = _ranked(_carried(known, bucket, rows, columns), 0, 2)
    if carried.num_rows == rows.num_rows:  # the parent snapshot settles every track: skip part files
        return carried.sort_by("track_id").drop_columns("preference")
    names = {url.rpartition("/")[2] for url in latest}
    found = [carried]
    for name, part in _parts(known, bucket, rows, columns):
        found.append(_ranked(part, 1, 3 if name in names else pc.if_else(known.due(part), 5, 4)))
    order = pa.concat_tables(found).sort_by([("track_id", "ascending"), ("preference", "ascending")])
    ids = order["track_id"].combine_chunks()
    repeated = pc.equal(ids.slice(1), ids.slice(0, max(len(ids) - 1, 0)))
    first = pa.concat_arrays([pa.array([True] * min(len(ids), 1), pa.bool_()), pc.invert(repeated)])
    return order.filter(first).drop_columns("preference")


def _ranked(outcomes: pa.Table, embedded: int, rejected: int | pa.ChunkedArray) -> pa.Table:
    """The outcomes with a column that says which of a track's is taken: the smallest."""
    preference = pc.cast(pc.if_else(pc.is_null(outcomes["reason"]), embedded, rejected), pa.int8())
    return outcomes.append_column("preference", preference)


def _same_source(outcomes: pa.Table, rows: pa.Table) -> pa.Table:
    """The outcomes of these rows' tracks whose source has not changed since."""
    wanted = rows["source_version"].take(pc.index_in(outcomes["track_id"], value_set=rows["track_id"].combine_chunks()))
    return outcomes.filter(pc.fill_null(pc.equal(outcomes["source_version"], wanted), False))


def _parts(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """Names of the bucket's part files, with their outcomes of these rows."""
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
    """What the parent snapshot knows of these rows: embeddings of the same id, rejects of the same features."""
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
    """Appends the columns that only this table of the parent has; null for rejected tracks."""
    own = {"tracks": ["duration_s", "sample_rate", "channels"], "embeddings": ["embedding"]}[name]
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
