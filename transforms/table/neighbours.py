"""What a snapshot says about its table `neighbours` and its search index, and how later snapshots keep both.

`Run.neighbours` is empty, or has: `snapshot` and `content_hash`, of the snapshot from which both were computed;
`settings` of the command; `added` and `removed`, tracks of the catalog that later runs added or removed, each run
counted by itself; `analysed`, tracks that later runs tagged anew; `sets`, one object for each embedding; `files_kept`,
number of files of `neighbours` that are those of the snapshot before; `index`, path of the manifest of the index, or
None if the index was removed because it named tracks of a takedown.

An object of `sets` says in `fitted` what its space and cells were fitted to: `snapshot`, `taxonomy_id`, `tagger_id`,
`tracks`, and how many tracks were `changed` since (added, changed or removed), as later runs of `neighbours` found; in
`kept`, whether the run started from an earlier index; and in `work`, what was computed, see `NEIGHBOUR_WORK`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.table.snapshots import DataFile, Run

NEIGHBOURS_TABLE = "neighbours"


def kept_neighbours(
    parent: Run | None, changes: Mapping[str, int], tagged: int
) -> tuple[tuple[DataFile, ...], dict[str, Any]]:
    """The files of `neighbours` and their record, as a run keeps them from its parent.

    Args:
      parent: run of the last snapshot; None if there is none.
      changes: tracks that the run adds and removes, see `Run.changes`.
      tagged: tracks that the run tags anew, see `Run.counts`.
    """
    if parent is None or not parent.neighbours:
        return (), {}
    files = tuple(file for file in parent.files if file.table == NEIGHBOURS_TABLE)
    sums = {name: parent.neighbours[name] + changes.get(name, 0) for name in ("added", "removed")}
    return files, {**parent.neighbours, **sums, "analysed": parent.neighbours.get("analysed", 0) + tagged}


def neighbours_without(rows: pa.Table, tracks: pa.Array) -> pa.Table:
    """The rows of `neighbours` that name none of the tracks; the ranks of the others stay, with gaps.

    A group of near-duplicates that had the name of one of the tracks gets another name.
    """
    gone = pc.or_(pc.is_in(rows["track_id"], value_set=tracks), pc.is_in(rows["neighbour_id"], value_set=tracks))
    kept = rows.filter(pc.invert(gone))
    pairs = kept.filter(kept["is_duplicate"]).group_by("track_id").aggregate([("neighbour_id", "min")])
    least = pc.min_element_wise(pairs["track_id"], pairs["neighbour_id_min"])
    places = pc.index_in(kept["track_id"], value_set=pairs["track_id"])
    named = pc.is_in(kept["duplicate_group"], value_set=tracks)
    groups = pc.if_else(named, least.take(places), kept["duplicate_group"])
    index = kept.column_names.index("duplicate_group")
    return kept.set_column(index, kept.schema.field(index), groups)


def replaced_rows(earlier: pa.Table, new: pa.Table, kept: pa.Array) -> pa.Table:
    """Rows of `neighbours` with those of some tracks replaced, in the order of the table.

    Args:
      earlier: all rows of a bucket, in the order of the table.
      new: rows of tracks that have others now. Those of a track are together and by rank; a track without neighbours
        has one of the rank 0.
      kept: the other tracks that keep their rows.
    """
    again = pc.unique(new["track_id"])
    new = new.filter(pc.greater(new["rank"], 0)).cast(earlier.schema)
    ids, firsts, sizes = _runs(earlier)
    stays = np.asarray(pc.is_in(ids, value_set=kept)) & ~np.asarray(pc.is_in(ids, value_set=again))
    own, new_firsts, new_sizes = _runs(new)
    order = np.asarray(pc.sort_indices(pa.concat_arrays([ids.filter(pa.array(stays)), own])))
    starts = np.concatenate([firsts[stays], len(earlier) + new_firsts])[order]
    counts = np.concatenate([sizes[stays], new_sizes])[order]
    places = np.arange(counts.sum()) + np.repeat(starts - np.cumsum(counts) + counts, counts)
    return pa.concat_tables([earlier, new]).take(pa.array(places))


def _runs(rows: pa.Table) -> tuple[pa.Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Tracks whose rows are together: id, first row and number of rows of each."""
    if not len(rows):
        return pa.array([], pa.string()), np.zeros(0, np.int64), np.zeros(0, np.int64)
    found = pc.run_end_encode(rows["track_id"].combine_chunks())
    ends = np.asarray(found.run_ends).astype(np.int64)
    firsts = np.concatenate([[0], ends[:-1]])
    return found.values, firsts, ends - firsts


def is_stale(run: Run) -> bool:
    """Whether the neighbours were computed from other rows than those of the snapshot."""
    return bool(run.neighbours) and run.neighbours["content_hash"] != run.content_hash


def neighbours_text(run: Run) -> str | None:
    """A sentence on the neighbours of a snapshot; None if it has none."""
    if not run.neighbours:
        return None
    record = run.neighbours
    text = f"neighbours of snapshot {record['snapshot']}"
    if is_stale(run):
        words = "track was" if record["added"] == 1 else "tracks were"
        text += f", stale: {record['added']} {words} added and {record['removed']} removed since"
    return text + ("" if record["index"] else "; the search index was removed by a takedown")


def tracks_of(run: Run, embedding_id: str) -> int:
    """Number of tracks with an embedding."""
    earlier = sum(one.tracks for one in run.earlier)
    kept = sum(one.tracks for one in run.earlier if one.ids.embedding_id == embedding_id)
    own = run.counts["tagged"] + run.counts["carried"] - earlier
    return kept + (own if embedding_id == run.ids.embedding_id else 0)
