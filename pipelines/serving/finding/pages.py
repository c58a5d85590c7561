"""A page of tracks in the order of a column: which tracks, by a query on few columns, then their rows from the cache.

A query on all columns would read the positive tags of every track for the twenty that are shown.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.serving.filters import Conditions, joined_conditions, listed_values
from pipelines.serving.paging import Order, identifier
from pipelines.serving.rows import rows_by_id
from pipelines.serving.snapshots import JsonRow, OpenSnapshot
from transforms.table.reader import TRACK_ID


def track_page(
    opened: OpenSnapshot, conditions: Conditions, order: Order, start: Sequence[Any] | None, limit: int
) -> list[JsonRow]:
    """The rows of the first tracks behind a key that meet all conditions, with all columns.

    Args:
      opened: the snapshot.
      conditions: on columns of `tracks`.
      order: of the tracks; its key is their id.
      start: the sort key behind which the page begins; None: the first page.
      limit: most rows.

    Raises:
      Problem: the key has other columns, or the query reached a limit.
    """
    behind = order.behind(start)
    listed = listed_values(conditions)
    if listed is not None and order.columns == (TRACK_ID,):
        ids = _first_of(listed, order, None if start is None else start[0], limit)
    else:
        where, values = joined_conditions([*conditions, behind])
        columns = ", ".join(map(identifier, order.columns))
        sql = f"SELECT {columns} FROM tracks WHERE {where} {order.clause()} LIMIT {limit}"
        ids = [row[TRACK_ID] for row in opened.fetch(sql, values)]
    found = rows_by_id(opened.reader, "tracks", ids)
    return [found[one] for one in ids]


def _first_of(ids: pa.ChunkedArray, order: Order, start: Any, limit: int) -> list[str]:
    """The first ids behind one of them."""
    if start is not None:
        ids = ids.filter((pc.less if order.is_descending else pc.greater)(ids, pa.scalar(start, pa.string())))
    direction = "descending" if order.is_descending else "ascending"
    rows = pa.table({TRACK_ID: ids})
    chosen = pc.select_k_unstable(rows, min(limit, len(rows)), [(TRACK_ID, direction)])
    return ids.take(chosen).to_pylist()  # type: ignore[no-any-return]
