"""What earlier runs have computed for a table, and which of it a run may reuse."""

import dataclasses
import functools
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from transforms.levels.writing import Compaction
from transforms.schemas.parameters import PARAMETERS_ID
from transforms.schemas.tables import PART
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.sampling import SampledSnapshot, TrackSample
from transforms.table.snapshots import DEFERRED, Ids
from transforms.tagging.choice import ChosenTracks

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
      parameters_kept: ids of parameters that a track may have in place of this one and need no extraction.
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
    parameters_kept: tuple[str, ...] = ()

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
