"""Why two tracks are similar, in words: the tags that both have most strongly."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from transforms.table.reader import SnapshotReader

MOST_SHARED = 3


class SharedTags:
    """Compares tracks of a snapshot with the scores of a query.

    Args:
      snapshot: where the tracks are.
      scores: tag -> score of the query.
    """

    def __init__(self, snapshot: SnapshotReader, scores: Mapping[str, float]) -> None:
        self._snapshot, self._scores = snapshot, scores

    def of(self, track_ids: Sequence[str]) -> dict[str, list[str]]:
        """For each track, the positive tags whose lower score of both is highest, at most `MOST_SHARED`."""
        columns = ["track_id", "tag", "score", "is_positive"]
        rows = self._snapshot.scan("track_tags", columns, track_ids=track_ids)
        rows = rows.filter(rows["is_positive"])
        own = pa.table({"tag": list(self._scores), "own": pa.array(self._scores.values(), pa.float32())})
        places = pc.index_in(rows["tag"], value_set=own["tag"])
        both = pc.min_element_wise(rows["score"], own["own"].take(places), skip_nulls=False)
        rows = rows.append_column("both", both).drop_null()
        found: dict[str, list[str]] = {track: [] for track in track_ids}
        for row in rows.sort_by([("both", "descending"), ("tag", "ascending")]).to_pylist():
            if len(found[row["track_id"]]) < MOST_SHARED:
                found[row["track_id"]].append(row["tag"])
        return found
