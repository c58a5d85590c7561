"""Which tracks differ between two snapshots, and in what."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.comparison.scores import UNIT
from transforms.comparison.tag_changes import Compared
from transforms.schemas.reports import DIFF_TRACKS

LEDGER_COLUMNS = ("track_id", "uri", "status", "reason", "source_version", "source_sha256", "tagger_id")

CHANGES = ("source", "outcome", "metadata", "tags", "scores")
"""What can differ in a track of both snapshots."""

RETAGGED = "retagged"
"""Count of the tracks that both snapshots tagged, with different taggers."""

TOUCHED = "touched"
"""Count of the tracks whose source has another version, such as another time, and the same bytes."""

Bools = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AlignedLedgers:
    """The ledgers of one bucket in two snapshots, with one row per track of either.

    Attributes:
      tracks: ids of the tracks, sorted.
      before: rows of the earlier snapshot; null for tracks that it lacks.
      after: the same of the later snapshot.
    """

    tracks: pa.Array
    before: pa.Table
    after: pa.Table

    @classmethod
    def of(cls, before: pa.Table, after: pa.Table) -> Self:
        """Aligns two tables with the columns `LEDGER_COLUMNS`."""
        both = pa.chunked_array([*before["track_id"].chunks, *after["track_id"].chunks], pa.string())
        tracks = pc.unique(both)
        tracks = tracks.take(pc.sort_indices(tracks))
        old, new = (aligned(_compared_status(side), tracks) for side in (before, after))
        return cls(tracks=tracks, before=old, after=new)

    def has(self, side: pa.Table) -> Bools:
        """Whether a side has each track."""
        return _bools(pc.is_valid(side["track_id"]))

    def tagged(self, side: pa.Table) -> Bools:
        """Whether a side tagged each track."""
        return _bools(pc.equal(side["status"], "tagged"))


def _compared_status(ledger: pa.Table) -> pa.Table:
    """The ledger with `tagged` for `carried`, which says nothing about the rows."""
    status = pc.if_else(pc.equal(ledger["status"], "carried"), "tagged", ledger["status"])
    return ledger.set_column(ledger.column_names.index("status"), "status", status)


def aligned(rows: pa.Table, tracks: pa.Array) -> pa.Table:
    """One row per track, in their order; nulls for tracks without a row."""
    return rows.take(pc.index_in(tracks, value_set=rows["track_id"].combine_chunks()))


def differing(before: pa.Table, after: pa.Table, columns: Sequence[str]) -> Bools:
    """Which rows of two aligned tables differ in a column. Null equals null only."""
    found = np.zeros(before.num_rows, bool)
    for name in columns:
        found |= _unequal(before[name], after[name])
    return found


def _unequal(before: pa.ChunkedArray, after: pa.ChunkedArray) -> Bools:
    null: Bools = _bools(pc.is_null(before)) != _bools(pc.is_null(after))
    if pa.types.is_null(before.type) or pa.types.is_null(after.type):  # a column of a catalog without any value
        return null
    if pa.types.is_nested(before.type):  # no kernel compares these
        pairs = zip(before.to_pylist(), after.to_pylist(), strict=True)
        return np.array([old != new for old, new in pairs], bool)
    return np.logical_or(null, _bools(pc.not_equal(before, after)))


def _bools(mask: pa.ChunkedArray) -> Bools:
    found: Bools = np.asarray(pc.fill_null(mask, False).to_numpy(), bool)
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackCounts:
    """Numbers of tracks.

    Attributes:
      changes: `before`, `after`, `added`, `removed`, `changed`, `unchanged`, `retagged`, `touched`; `source`
        and so on of `CHANGES`.
      outcomes: (status and reason before, status and reason after) -> tracks; None for tracks that a side lacks.
    """

    changes: Counter[str] = dataclasses.field(default_factory=Counter)
    outcomes: Counter[tuple[str | None, str | None]] = dataclasses.field(default_factory=Counter)

    def __add__(self, other: Self) -> Self:
        return dataclasses.replace(self, changes=self.changes + other.changes, outcomes=self.outcomes + other.outcomes)


def track_rows(
    ledgers: AlignedLedgers, metadata: Bools, compared: Compared, tag_ids: Sequence[str]
) -> tuple[pa.Table, TrackCounts]:
    """Returns the table `DIFF_TRACKS` of the tracks that differ, and the counts of all.

    Args:
      ledgers: the ledgers.
      metadata: which tracks have other metadata in `tracks`.
      compared: the comparison of their tags.
      tag_ids: ids of the tags.
    """
    before, after = ledgers.before, ledgers.after
    was, is_ = ledgers.has(before), ledgers.has(after)
    both = was & is_
    same_bytes = _bools(pc.equal(before["source_sha256"], after["source_sha256"]))
    touched = both & same_bytes & differing(before, after, ("source_version",))
    kinds = {
        "source": both & differing(before, after, ("source_version", "source_sha256")) & ~touched,
        "outcome": both & differing(before, after, ("status", "reason")),
        "metadata": both & (metadata | differing(before, after, ("uri",))),
        "tags": (compared.gained | compared.lost).any(axis=0),
        "scores": compared.rescored,
    }
    changed = np.logical_or.reduce(list(kinds.values()))
    counts = {"before": was, "after": is_, "added": is_ & ~was, "removed": was & ~is_, "changed": changed}
    counts |= {"unchanged": both & ~changed, **kinds, TOUCHED: touched}
    counts[RETAGGED] = ledgers.tagged(before) & ledgers.tagged(after) & differing(before, after, ("tagger_id",))
    totals = Counter({name: int(np.count_nonzero(mask)) for name, mask in counts.items()})
    columns = {
        "track_id": ledgers.tracks,
        "change": np.where(was, np.where(is_, "changed", "removed"), "added"),
        **{f"{name}_{side}": rows[name] for name in ("status", "reason") for side, rows in _sides(ledgers)},
        **{f"{name}_changed": mask for name, mask in kinds.items()},
        "gained": _lists(compared.gained, tag_ids),
        "lost": _lists(compared.lost, tag_ids),
        "max_distance": (compared.furthest / UNIT).astype(np.float32),
    }
    table = pa.table([_column(columns, field) for field in DIFF_TRACKS], schema=DIFF_TRACKS)
    kept = table.filter(pa.array(changed | ~both))
    return kept, TrackCounts(changes=totals, outcomes=_outcomes(ledgers))


def _sides(ledgers: AlignedLedgers) -> tuple[tuple[str, pa.Table], tuple[str, pa.Table]]:
    return ("before", ledgers.before), ("after", ledgers.after)


def _column(columns: Mapping[str, Any], field: pa.Field) -> Any:
    values = columns[field.name]
    return values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, field.type)


def _lists(chosen: Bools, tag_ids: Sequence[str]) -> pa.Array:
    """For each track, the chosen tags of bool [tags, tracks]."""
    tracks, tags = np.nonzero(chosen.T)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(tracks, minlength=chosen.shape[1]))]).astype(np.int32)
    values = pa.array(tag_ids, pa.string()).take(pa.array(tags))
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=DIFF_TRACKS.field("gained").type)


def _outcomes(ledgers: AlignedLedgers) -> Counter[tuple[str | None, str | None]]:
    """Each track's outcome is its reason, else its status."""
    before, after = (pc.coalesce(rows["reason"], rows["status"]) for _, rows in _sides(ledgers))
    pairs = pa.table({"before": before, "after": after}).group_by(["before", "after"]).aggregate([([], "count_all")])
    return Counter({(row["before"], row["after"]): row["count_all"] for row in pairs.to_pylist()})
