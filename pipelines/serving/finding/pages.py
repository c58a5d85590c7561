"""A page of tracks in the order of a column: which tracks, by a query on few columns, then their rows from the cache.

A query on all columns would read the positive tags of every track for the twenty that are shown.
"""

from collections.abc import Sequence
from typing import Any

from pipelines.serving.filters import Conditions, joined_conditions, only_chosen
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
    chosen = only_chosen(conditions)
    if chosen is not None and order.columns == (TRACK_ID,):
        ids = chosen.first(limit, None if start is None else start[0], is_descending=order.is_descending)
    else:
        where, values = joined_conditions([*conditions, behind])
        columns = ", ".join(map(identifier, order.columns))
        sql = f"SELECT {columns} FROM tracks WHERE {where} {order.clause()} LIMIT {limit}"
        ids = [row[TRACK_ID] for row in opened.fetch(sql, values)]
    found = rows_by_id(opened.reader, "tracks", ids)
    return [found[one] for one in ids]
