"""Known outcomes of a bucket's tracks, from the parent snapshot and from the part files of any run."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from transforms.audio.errors import SourceNotFound
from transforms.extraction.kill_history import KILLED, last_run
from transforms.formats.arrow import group_numbers
from transforms.levels.writing import Compaction
from transforms.schemas.parameters import PARAMETER_NAMES, PARAMETERS_ID
from transforms.schemas.tables import FACT_NAMES, LEDGER, PART
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.sampling import SampledSnapshot, TrackSample
from transforms.table.snapshots import DEFERRED, Ids
from transforms.tagging.choice import ChosenTracks
from transforms.tagging.measured_tracks import is_measured, with_measured
from transforms.tagging.part_files import Promised, read_parts

MISSING = "missing"
"""Source version of a file that is not in the listing of its folder."""

KEPT_IDS = ("feature_id", "embedding_id", "tagger_id")
"""Ids of a row of the ledger."""

OUTCOME = pa.schema(
    [
        *PART,
        pa.field("run_id", pa.string()),
        pa.field("carried", pa.bool_(), nullable=False),
        pa.field("postponed", pa.bool_()),
        *(pa.field(f"kept_{name}", pa.string()) for name in KEPT_IDS),
    ]
)
"""A row of a part file, plus `carried`: whether the outcome is from the parent snapshot.

`run_id` is the run that last extracted a carried track, and null for other tracks. `postponed`: the track is left to a
later run, because of the budget. It keeps its outcome of the parent snapshot, and `kept_...` are the ids of that
outcome where they are not those of the run: then it has no embedding here. Without such an outcome, it has neither
reason nor embedding, and an empty `run_id`.
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
      compare_bytes: whether a changed source with the same bytes as in the parent snapshot is not decoded.
      choice: the tracks that the run extracts, of those that need it; None: all.
      sample: the tracks that the run is about, also in the parent snapshot; None: all.
      output: folder or gs:// prefix of what the run writes, but for part files; None: `root`.
      compaction: when the files of a bucket are merged.
      parameters_id: id of the spec by which parameters of tracks are measured; empty: they are not.
      parameters_due: whether tracks without parameters of this id need extraction for that reason alone.
    """

    root: str
    parent: int | None
    ids: Ids
    due_again: frozenset[str]
    retry_rejects: bool = False
    buckets: int | None = None
    dim: int | None = None
    compare_bytes: bool = True
    choice: ChosenTracks | None = None
    sample: TrackSample | None = None
    output: str | None = None
    compaction: Compaction = dataclasses.field(default_factory=Compaction)
    parameters_id: str = ""
    parameters_due: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Returns only the fields: the cached `snapshot` is not sent to workers."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @functools.cached_property
    def snapshot(self) -> SnapshotReader | None:
        """The parent snapshot. It is opened once, because all buckets of a worker need it."""
        if self.parent is None:
            return None
        parent = open_snapshot(self.root, self.parent)
        return parent if self.sample is None else SampledSnapshot.of(parent, self.sample)

    @property
    def files_before(self) -> SnapshotReader | None:
        """The parent snapshot, if its files may be part of what the run writes; those of a sample are apart."""
        return None if self.sample is not None else self.snapshot

    @property
    def written_to(self) -> str:
        """Folder or gs:// prefix of what the run writes, but for part files."""
        return self.root if self.output is None else self.output

    @property
    def row_columns(self) -> tuple[str, ...]:
        """Columns of the parent's ledger that `reusable` needs because its rows have different ids."""
        return (*KEPT_IDS, "status") if self.snapshot is not None and self.snapshot.manifest.run.is_mixed else ()

    @functools.cached_property
    def parent_has_parameters(self) -> bool:
        """Whether the parent snapshot has columns for parameters."""
        return self.snapshot is not None and PARAMETERS_ID in self.snapshot.schema("tracks").names

    @property
    def has_parameters(self) -> bool:
        """Whether the tables of the run have columns for parameters."""
        return bool(self.parameters_id) or self.parent_has_parameters

    @property
    def order(self) -> int:
        """Order of the files of this run: the number of the snapshot that it becomes if it is published."""
        return (self.parent or 0) + 1

    @property
    def tracks_before(self) -> int:
        """Number of tracks of the parent snapshot; 0 if there is none."""
        return 0 if self.snapshot is None else self.snapshot.manifest.run.counts["catalog"]

    def keeps(self, outcomes: pa.Table) -> pa.Table:
        """Returns the outcomes that are reused: embedded tracks, and rejected tracks that are not retried."""
        return outcomes.filter(pc.invert(pc.is_valid(outcomes["reason"]) if self.retry_rejects else self.due(outcomes)))

    def due(self, outcomes: pa.Table) -> pa.ChunkedArray:
        """Returns which outcomes are rejects that every run retries: bool [rows]."""
        again = pc.is_in(outcomes["reason"], value_set=pa.array(sorted(self.due_again), pa.string()))
        return pc.and_(again, pc.not_equal(outcomes["source_version"], MISSING))

    def reusable(self, ledger: pa.Table) -> pa.Table:
        """Rows of the parent's ledger that are reused if their sources are unchanged: columns `reason` and more.

        Embeddings with another id are not, nor are rejects with other features, nor tracks that no run has reached.
        """
        if self.snapshot is not None and self.snapshot.manifest.run.is_mixed:
            return self.keeps(ledger.filter(self.has_own_ids(ledger)))
        earlier = self.snapshot.manifest.run.ids if self.snapshot is not None else None
        if earlier is None or earlier.feature_id != self.ids.feature_id:
            return ledger.slice(0, 0)
        if earlier.embedding_id != self.ids.embedding_id:
            ledger = ledger.filter(pc.is_valid(ledger["reason"]))
        return self.keeps(ledger)

    def has_own_ids(self, ledger: pa.Table) -> pa.ChunkedArray:
        """Which rows of a ledger are outcomes under the ids of this run: embeddings, or rejects: bool [rows]."""
        features = pc.equal(ledger["feature_id"], self.ids.feature_id)
        embedding = pc.or_(pc.is_valid(ledger["reason"]), pc.equal(ledger["embedding_id"], self.ids.embedding_id))
        return pc.and_(pc.and_(features, embedding), pc.not_equal(ledger["status"], DEFERRED))


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
    candidates = _candidates(known, bucket, rows, columns, latest)
    if known.choice is not None:
        candidates = _postponing(known, known.choice, bucket, rows, candidates)
    if known.parameters_due:
        candidates = pa.concat_tables([candidates, _ranked(_incomplete(known, bucket, rows, columns), 2, 2)])
    outcomes = _best(candidates)
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
    candidates = _candidates(known, bucket, rows, _PLANNED, latest=())
    done = known.keeps(_best(candidates))
    todo = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=done["track_id"].combine_chunks())))
    postponed = todo.slice(0, 0)
    if known.choice is not None:
        chosen = pc.is_in(todo["track_id"], value_set=known.choice.of_bucket(bucket))
        todo, postponed = todo.filter(chosen), todo.filter(pc.invert(chosen))
    if todo.num_rows == 0 or known.snapshot is None:
        return Unsettled(todo, done, frozenset(), _histories(candidates), {}, postponed)
    ledger = known.snapshot.scan("ledger", [*_LEDGER, *known.row_columns], bucket=bucket)
    same = _same_source(ledger, todo)
    due = frozenset(same.filter(known.due(same))["track_id"].to_pylist())
    histories, reused = _histories(same) | _histories(candidates), _reused_by_bytes(known, ledger, todo)
    digests = dict(zip(reused["track_id"].to_pylist(), reused["source_sha256"].to_pylist(), strict=True))
    if not known.parameters_due:
        return Unsettled(todo, done, due, histories, digests, postponed)
    lacking, own = lacking_parameters(known, bucket, reused), known.reusable(same)
    kept = own["track_id"].filter(pc.is_null(own["reason"])).to_pylist()
    return Unsettled(todo, done, due, histories, digests, postponed, frozenset(lacking), frozenset(kept))


def lacking_parameters(known: PriorOutcomes, bucket: int, ledger: pa.Table) -> list[str]:
    """Ids of the tracks of the parent's ledger that have an embedding, and no parameters of the run's id."""
    embedded = ledger["track_id"].filter(pc.is_null(ledger["reason"]))
    if known.parent_has_parameters and known.snapshot is not None:
        rows = known.snapshot.scan("tracks", ["track_id", PARAMETERS_ID], bucket=bucket)
        done = rows["track_id"].filter(is_measured(rows, known.parameters_id)).combine_chunks()
        embedded = embedded.filter(pc.invert(pc.is_in(embedded, value_set=done)))
    found: list[str] = embedded.to_pylist()
    return found


def _reused_by_bytes(known: PriorOutcomes, ledger: pa.Table, todo: pa.Table) -> pa.Table:
    """Rows of the parent's ledger whose outcomes are reused if the bytes are the same; they have a SHA-256."""
    if not known.compare_bytes:
        return ledger.slice(0, 0)
    earlier = ledger.filter(pc.is_in(ledger["track_id"], value_set=todo["track_id"].combine_chunks()))
    return known.reusable(earlier.filter(pc.is_valid(earlier["source_sha256"])))


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


def _histories(outcomes: pa.Table) -> dict[str, str]:
    """The longest history of each track among its outcomes."""
    told = outcomes.filter(pc.fill_null(pc.starts_with(outcomes["detail"], KILLED), False))
    pairs = zip(told["track_id"].to_pylist(), told["detail"].to_pylist(), strict=True)
    return dict(sorted(pairs, key=lambda pair: last_run(pair[1])))


def _candidates(
    known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str], latest: Iterable[str]
) -> pa.Table:
    """Outcomes of the rows in the parent snapshot and in all part files, with `preference`: the smallest is chosen.

    What is carried from the snapshot is used: an embedding, or a reject that is not retried. For other rows, the order
    of preference is: embedding of a part file, reject of this launch, older reject, older reject that is due again.
    Part files never replace a carried reject: otherwise an interrupted run, or another track of the bucket, would
    change the result.
    """
    carried = _carried(known, bucket, rows, columns)
    ranked = [_ranked(carried, 0, 0)]
    if carried.num_rows < rows.num_rows:  # else the parent snapshot has an outcome of every track
        left = rows.filter(pc.invert(pc.is_in(rows["track_id"], value_set=carried["track_id"].combine_chunks())))
        names = {url.rpartition("/")[2] for url in latest}
        same: dict[str, str] = {}
        measured: list[pa.Table] = []
        for name, part in _parts(known, bucket, left, (*columns, "reason", "stage", "source_sha256", PARAMETERS_ID)):
            only_read = pc.and_(pc.is_null(part["reason"]), pc.is_valid(part["stage"]))
            read, part = part.filter(only_read), part.filter(pc.invert(only_read))
            same |= zip(read["track_id"].to_pylist(), read["source_sha256"].to_pylist(), strict=True)
            measured.append(read.filter(is_measured(read, known.parameters_id)))
            part = part.filter(_is_complete(known, part)).select(columns)
            ranked.append(_ranked(part, 1, 3 if name in names else pc.if_else(known.due(part), 5, 4)))
        if same:
            by_bytes = _carried_by_bytes(known, bucket, left, _with_parameters_id(known, columns), same)
            by_bytes = with_measured(by_bytes, pa.concat_tables(measured))
            ranked.append(_ranked(by_bytes.filter(_is_complete(known, by_bytes)).select(columns), 0, 2))
    return pa.concat_tables(ranked)


def _is_complete(known: PriorOutcomes, outcomes: pa.Table) -> pa.ChunkedArray:
    """Which outcomes are reused as they are: if parameters are due, rejects and those with them; else all."""
    if not known.parameters_due:
        return pa.chunked_array([pa.array([True] * outcomes.num_rows, pa.bool_())])
    return pc.or_(pc.is_valid(outcomes["reason"]), is_measured(outcomes, known.parameters_id))


def _with_parameters_id(known: PriorOutcomes, columns: Sequence[str]) -> list[str]:
    """The columns, and those that `_is_complete` needs."""
    return list(dict.fromkeys([*columns, *(("reason", PARAMETERS_ID) if known.parameters_due else ())]))


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


def _carried(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Outcomes in the parent snapshot that are reused: those of rows whose source version is unchanged."""
    found = _of_same_version(known, bucket, rows, columns)
    return found.filter(_is_complete(known, found)).select(columns)


def _incomplete(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """What tracks keep whose parameters could not be measured: their outcomes in the parent snapshot."""
    found = _of_same_version(known, bucket, rows, columns)
    return found.filter(pc.invert(_is_complete(known, found))).select(columns)


def _of_same_version(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    columns = _with_parameters_id(known, columns)
    return _of_parent(known, bucket, columns, lambda ledger: _same_source(ledger, rows))


def _carried_by_bytes(
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


def _postponing(
    known: PriorOutcomes, choice: ChosenTracks, bucket: int, rows: pa.Table, candidates: pa.Table
) -> pa.Table:
    """The candidates, with those of postponed tracks replaced by what the tracks keep until a later run."""
    done = known.keeps(_best(candidates))["track_id"].combine_chunks()
    open_ = pc.or_(pc.is_in(rows["track_id"], value_set=done), pc.is_in(rows["track_id"], choice.of_bucket(bucket)))
    waiting = rows.filter(pc.invert(open_))
    ids = waiting["track_id"].combine_chunks()
    candidates = candidates.filter(pc.invert(pc.is_in(candidates["track_id"], value_set=ids)))
    columns = [name for name in candidates.column_names if name in OUTCOME.names]
    return pa.concat_tables([candidates, _ranked(_postponed(known, bucket, waiting, columns), 0, 0)])


def _postponed(known: PriorOutcomes, bucket: int, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
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


def completed(outcomes: pa.Table, columns: Sequence[str] = tuple(OUTCOME.names)) -> pa.Table:
    """These columns of the outcomes; null where a column is missing."""
    for name in columns:
        if name not in outcomes.column_names:
            outcomes = outcomes.append_column(name, pa.nulls(outcomes.num_rows, OUTCOME.field(name).type))
    return outcomes.select(columns).cast(_schema(columns))


def _schema(columns: Sequence[str]) -> pa.Schema:
    return pa.schema([OUTCOME.field(name) for name in columns])
