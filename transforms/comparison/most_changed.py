"""The tracks that changed most between two snapshots: a few, whatever the number of tracks is."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from transforms.schemas.reports import DIFF_TRACKS

LISTED_TRACKS = 10
"""Number of tracks that are listed."""

_ORDER = [("tags", "descending"), ("max_distance", "descending"), ("change", "descending"), ("track_id", "ascending")]
_WHAT = ("source", "outcome", "metadata", "tags", "scores")


class MostChanged:
    """Keeps the tracks with the most gained and lost tags, then those whose scores differ most."""

    def __init__(self) -> None:
        self._kept = _keyed(DIFF_TRACKS.empty_table())

    def add(self, rows: pa.Table) -> None:
        """Looks at the rows `DIFF_TRACKS` of a bucket."""
        both = pa.concat_tables([self._kept, _keyed(rows)])
        self._kept = both.take(pc.sort_indices(both, sort_keys=_ORDER)[:LISTED_TRACKS])

    def to_json(self) -> list[dict[str, Any]]:
        """The tracks: id, change, what differs, gained and lost tags, and the greatest difference of a score."""
        return [
            {
                "track_id": row["track_id"],
                "change": row["change"],
                "differs": [name for name in _WHAT if row[f"{name}_changed"]],
                "gained": row["gained"],
                "lost": row["lost"],
                "max_distance": row["max_distance"],
            }
            for row in self._kept.to_pylist()
        ]


def _keyed(rows: pa.Table) -> pa.Table:
    tags = pc.add(pc.list_value_length(rows["gained"]), pc.list_value_length(rows["lost"]))
    return rows.append_column("tags", pc.fill_null(tags, 0))
