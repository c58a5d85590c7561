"""What a run does with the tracks of a catalog, and why: counted before anything is extracted."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.schemas.fusion import FUSION_ID, SAID_ID
from transforms.table.snapshots import DEFERRED, Run
from transforms.tagging.outcomes.of_parent import lacking_parameters
from transforms.tagging.outcomes.prior import KEPT_IDS, MISSING, PriorOutcomes
from transforms.tagging.outcomes.unsettled import Unsettled

CAUSES = (
    "new",
    "deferred",
    "source",
    "features",
    "due",
    "remembered",
    "trunk",
    "parameters",
    "taxonomy",
    "heads",
    "fusion",
    "unchanged",
)
"""Why a run treats a track as it does. A track counts for the first cause that applies, in this order. The counters of
the stage `plan` have these names and their meanings."""

ACTIONS = ("extract", "reuse", "carry", "remember", "defer")
"""What a run does with a track; the counters of the stage `plan` have the meanings."""

LISTED_BYTES = "_listed_bytes"
"""Column of catalog rows that are only planned: size of the source in the listing of its folder."""

_LEDGER = ("track_id", "source_version", "reason", "source_bytes")
_IDS = ("feature_id", "embedding_id", "taxonomy_id", "tagger_id")
_FACTS = ("listed", "same", "rejected", "due", "deferred", "fused", "measured", "lacking")


@dataclasses.dataclass(kw_only=True)
class Forecast:
    """Numbers of tracks by cause and by action, and the bytes to read.

    Attributes:
      causes: cause -> number of tracks; the numbers add up to the rows of the catalog.
      actions: action -> number of tracks; they add up to the same number.
      sized: tracks to extract whose size is known.
      read_bytes: sum of these sizes.
      missing: tracks to extract whose file is not in the listing of its folder.
      unmeasured: tracks of the last snapshot that keep their embedding and have no parameters of the run's id.
      kept_embedding: tracks to extract that keep their embedding if their bytes are the same.
      reused_rejects: tracks whose reject by a run that was not published is reused.
    """

    causes: Counter[str] = dataclasses.field(default_factory=Counter)
    actions: Counter[str] = dataclasses.field(default_factory=Counter)
    sized: int = 0
    read_bytes: int = 0
    missing: int = 0
    unmeasured: int = 0
    kept_embedding: int = 0
    reused_rejects: int = 0

    @property
    def known_rejects(self) -> int:
        """Tracks that are rejected without being read again."""
        return self.reused_rejects + self.actions["remember"]

    @property
    def tried(self) -> int:
        """Tracks that the run has an outcome for."""
        return self.catalog - self.actions["defer"]

    @property
    def catalog(self) -> int:
        """Rows of the catalog."""
        return self.causes.total()

    @property
    def kept(self) -> int:
        """Tracks that will have tags if no track to extract is rejected."""
        return self.catalog - self.actions["remember"]

    def add(self, other: "Forecast") -> None:
        """Includes the counts of other tracks."""
        self.causes += other.causes
        self.actions += other.actions
        self.sized += other.sized
        self.read_bytes += other.read_bytes
        self.missing += other.missing
        self.unmeasured += other.unmeasured
        self.kept_embedding += other.kept_embedding
        self.reused_rejects += other.reused_rejects

    def removed(self, before: int) -> int:
        """Tracks of the last snapshot that the catalog no longer has; `before` is the number of its tracks."""
        return before - (self.catalog - self.causes["new"])

    @classmethod
    def of_counts(cls, causes: Mapping[str, int], actions: Mapping[str, int]) -> Self:
        """A forecast without sizes."""
        return cls(causes=Counter(causes), actions=Counter(actions))

    def to_json(self, before: int) -> dict[str, Any]:
        """The counts as a JSON object; `before` is the number of tracks of the last snapshot."""
        stale = ("source", "features", "trunk", "parameters", "heads", "taxonomy", "fusion")
        return {
            "catalog": self.catalog,
            "new": self.causes["new"],
            "deferred": self.causes["deferred"],
            "changed": self.causes["source"],
            "stale": {name: self.causes[name] for name in stale},
            "unchanged": self.causes["unchanged"],
            "without_parameters": self.unmeasured,
            "removed": self.removed(before),
            "rejected": {"due_again": self.causes["due"], "remembered": self.causes["remembered"]},
            "actions": {name: self.actions[name] for name in ACTIONS},
        }


def forecast_bucket(known: PriorOutcomes, bucket: int, rows: pa.Table, left: Unsettled) -> Forecast:
    """Counts what the run does with the rows of a bucket, from the same decision that its chunks are made of.

    Args:
      known: outcomes of earlier runs.
      bucket: number of the bucket.
      rows: its catalog rows. With the column `LISTED_BYTES`, the sizes of listed files are used.
      left: the decision, see `unsettled`.
    """
    earlier = _earlier(known, bucket, rows)
    found = Forecast(causes=_causes(earlier), actions=_actions(left))
    found.unmeasured = _unmeasured(known, earlier)
    found.kept_embedding = len(left.unmeasured)
    carried, rejected = _settled_masks(left)
    found.reused_rejects = int((~carried & rejected).sum())
    sizes = _sizes(rows, earlier).filter(pc.is_in(rows["track_id"], value_set=left.rows["track_id"].combine_chunks()))
    found.sized = len(sizes) - sizes.null_count
    found.read_bytes = pc.sum(sizes).as_py() or 0
    found.missing = pc.sum(pc.equal(left.rows["source_version"], MISSING)).as_py() or 0
    return found


def _actions(left: Unsettled) -> Counter[str]:
    carried, rejected = _settled_masks(left)
    return Counter(
        extract=left.rows.num_rows,
        defer=left.postponed.num_rows,
        reuse=int((~carried).sum()),
        carry=int((carried & ~rejected).sum()),
        remember=int((carried & rejected).sum()),
    )


def _settled_masks(left: Unsettled) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which outcomes that are reused are those of the parent snapshot, and which are rejects."""
    masks = left.settled["carried"], pc.is_valid(left.settled["reason"])
    carried, rejected = (np.asarray(mask.combine_chunks(), bool) for mask in masks)
    return carried, rejected


def _earlier(known: PriorOutcomes, bucket: int, rows: pa.Table) -> pa.Table:
    """Facts of each row's track in the parent snapshot.

    Columns: `listed`, `same` (source), `rejected`, `due`, `deferred`, `fused` (what sources say about it is other than
    now), `measured` (with the run's id), `lacking` (needs extraction for its parameters), `bytes`, and whether its ids
    differ, by their names.
    """
    none = pa.nulls(rows.num_rows, pa.int64())
    if known.snapshot is None:
        never = pa.array(np.zeros(rows.num_rows, bool))
        return pa.table({**dict.fromkeys((*_FACTS, *_IDS), never), "bytes": none})
    fused = [FUSION_ID] if known.snapshot.manifest.run.fusion else []
    ledger = known.snapshot.scan("ledger", [*_LEDGER, *fused, *known.row_columns], bucket=bucket)
    other, lacking = _lacking(known, bucket, ledger)
    place = pc.index_in(rows["track_id"], value_set=ledger["track_id"].combine_chunks())
    own = ledger.take(place)
    due = pc.is_valid(own["reason"]) if known.retry_rejects else known.due(own)
    return pa.table(
        {
            "listed": pc.is_valid(place),
            "same": pc.fill_null(pc.equal(own["source_version"], rows["source_version"]), False),
            "rejected": pc.is_valid(own["reason"]),
            "due": pc.fill_null(due, False),
            "fused": _other_fusion(rows, own),
            "measured": pc.invert(pc.is_in(rows["track_id"], value_set=other)),
            "lacking": pc.is_in(rows["track_id"], value_set=lacking),
            "bytes": own["source_bytes"].cast(pa.int64()),
            **_differences(known, known.snapshot.manifest.run, own),
        }
    )


def _lacking(known: PriorOutcomes, bucket: int, ledger: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Tracks without parameters of the run's id, and those of them that need extraction for that reason."""
    other = lacking_parameters(known, bucket, ledger) if known.parameters_id else []
    due = other if known.parameters_due else []
    if due and known.parameters_kept:
        due = lacking_parameters(known, bucket, ledger, *known.parameters_kept)
    return pa.array(other, pa.string()), pa.array(due, pa.string())


def _other_fusion(rows: pa.Table, earlier: pa.Table) -> pa.ChunkedArray:
    """Whether sources say something else of each track than in the parent snapshot: bool [rows]."""
    now, before = (
        pc.fill_null(table[name], "") if name in table.column_names else pa.array([""] * rows.num_rows)
        for table, name in ((rows, SAID_ID), (earlier, FUSION_ID))
    )
    return pc.not_equal(now, before)


def _differences(known: PriorOutcomes, run: Run, own: pa.Table) -> dict[str, pa.Array | pa.ChunkedArray]:
    """Which ids of the rows of a ledger differ from those of the run to come, and which tracks were deferred."""
    whole = {name: getattr(run.ids, name) != getattr(known.ids, name) for name in _IDS}
    found = {name: pa.array(np.full(own.num_rows, differs)) for name, differs in whole.items()}
    found["deferred"] = pa.array(np.zeros(own.num_rows, bool))
    if run.is_mixed:  # kept rows have the taxonomy of the snapshot's own tagger, see `require_one_taxonomy`
        for name in KEPT_IDS:
            found[name] = pc.fill_null(pc.not_equal(own[name], getattr(known.ids, name)), False)
        found["deferred"] = pc.fill_null(pc.equal(own["status"], DEFERRED), False)
    return found


def _unmeasured(known: PriorOutcomes, earlier: pa.Table) -> int:
    """Tracks that keep their embedding and have no parameters of the run's id; 0 in a run without parameters."""
    if not known.parameters_id:
        return 0
    listed, same, _, _, deferred, _, measured, _ = (earlier[name].to_numpy().astype(bool) for name in _FACTS)
    other = earlier["feature_id"].to_numpy().astype(bool) | earlier["embedding_id"].to_numpy().astype(bool)
    return int((listed & same & ~deferred & ~measured & ~other).sum())


def _causes(earlier: pa.Table) -> Counter[str]:
    """Tracks by cause."""
    listed, same, rejected, again, deferred, fused, _, lacking = (
        earlier[name].to_numpy().astype(bool) for name in _FACTS
    )
    other = {name: earlier[name].to_numpy().astype(bool) for name in _IDS}
    conditions = {
        "new": ~listed,
        "deferred": deferred,
        "source": ~same,
        "features": other["feature_id"],
        "due": rejected & again,
        "remembered": rejected,
        "trunk": other["embedding_id"],
        "parameters": lacking,
        "taxonomy": other["taxonomy_id"],
        "heads": other["tagger_id"],
        "fusion": fused,
    }
    first = np.select(list(conditions.values()), range(len(conditions)), len(conditions))
    return Counter(dict(zip(CAUSES, np.bincount(first, minlength=len(CAUSES)).tolist(), strict=True)))


def _sizes(rows: pa.Table, earlier: pa.Table) -> pa.ChunkedArray:
    """Size of each row's source: as listed, or as read when the parent snapshot was made; null if it is not known."""
    sizes = pc.if_else(earlier["same"], earlier["bytes"], pa.scalar(None, pa.int64()))
    return pc.coalesce(rows[LISTED_BYTES], sizes) if LISTED_BYTES in rows.column_names else sizes
