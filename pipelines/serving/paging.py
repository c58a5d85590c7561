"""Pages by key: a page ends with the sort key of its last row, and the next page begins behind it.

No offset is counted, so the last page costs what the first does. An opaque cursor holds the snapshot, the key, and a
digest of the request: a cursor of another request or of a removed snapshot is refused.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import pyarrow as pa
from fastapi import Query, Request

from pipelines.serving.problems import Declined
from transforms.formats.hashing import digest

MOST_PAGE_ROWS = 100
_CURSOR_LETTERS = 2048

_NOT_BOUND = ("cursor", "limit", "count")
"""Parameters that may change from page to page."""

Limit = Annotated[int, Query(ge=1, le=MOST_PAGE_ROWS, description="Most rows of the page.", examples=[20])]
CursorText = Annotated[
    str | None,
    Query(
        max_length=_CURSOR_LETTERS,
        description="`next` of the page before, with the same other parameters. The page is of the same snapshot.",
        examples=["WzMsIjE3YTRi"],
    ),
]
CountRows = Annotated[
    bool, Query(description="Also count all rows of the answer, which reads the whole table.", examples=[True])
]


class Cursor(NamedTuple):
    """Where a page begins.

    Attributes:
      number: the snapshot.
      request: digest of the request.
      key: values of the sort columns of the last row before it.
    """

    number: int
    request: str
    key: tuple[str | int | float | bool | None, ...]

    def text(self) -> str:
        """The cursor as clients get it."""
        data = json.dumps([self.number, self.request, list(self.key)], separators=(",", ":"))
        return base64.urlsafe_b64encode(data.encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor:
    """The cursor of a text.

    Raises:
      Problem: this service did not make it.
    """
    try:
        if len(text) > _CURSOR_LETTERS:
            raise ValueError("too long")
        data = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        number, request, key = json.loads(data)
        is_good = type(number) is int and 0 < number < 2**63 and type(request) is str and type(key) is list
        if not is_good or not all(type(value) in (str, int, float, bool, type(None)) for value in key):
            raise ValueError("not a cursor")
        json.dumps(key, allow_nan=False).encode()
        "".join(value for value in key if type(value) is str).encode()
        if any(type(value) is int and abs(value) >= 2**63 for value in key):
            raise ValueError("not a number of a table")
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise Declined("bad-cursor", "cursor: this service did not make it: start again without the cursor") from error
    return Cursor(number, request, tuple(key))


def request_digest(request: Request) -> str:
    """A digest of the path and of all parameters that decide which rows are listed, and in which order."""
    named = sorted(pair for pair in request.query_params.multi_items() if pair[0] not in _NOT_BOUND)
    return digest(request.url.path, *(part for pair in named for part in pair))[:16]


def start_of(request: Request) -> tuple[Any, ...] | None:
    """The key behind which the page begins; None for the first page.

    Raises:
      Problem: the cursor is of another request.
    """
    if (text := request.query_params.get("cursor")) is None:
        return None
    cursor = read_cursor(text)
    if cursor.request != request_digest(request):
        raise Declined("bad-cursor", "cursor: it is of a request with other parameters: start again without the cursor")
    return cursor.key


class Order(NamedTuple):
    """The order of a list: a column, and the unique id behind it.

    Attributes:
      column: the column to sort by; that of the id for the order of ids.
      is_descending: whether the greatest value comes first. Nulls come last.
      key: the column of the unique id.
      is_number: whether the column has numbers.
    """

    column: str
    is_descending: bool
    key: str
    is_number: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the sort key."""
        return (self.key,) if self.column == self.key else (self.column, self.key)

    def clause(self) -> str:
        """The ORDER BY clause."""
        direction = "DESC" if self.is_descending else "ASC"
        if self.column == self.key:
            return f"ORDER BY {identifier(self.key)} {direction}"
        return f"ORDER BY {identifier(self.column)} {direction} NULLS LAST, {identifier(self.key)}"

    def behind(self, start: Sequence[Any] | None) -> tuple[str, list[Any]]:
        """The condition on rows behind a key, and its parameters.

        Raises:
          Problem: the key has other columns.
        """
        if start is None:
            return "true", []
        self._check(start)
        sign, key = "<" if self.is_descending else ">", identifier(self.key)
        if len(start) == 1:
            return f"{key} {sign} ?", [start[0]]
        column, (value, last) = identifier(self.column), start
        if value is None:
            return f"({column} IS NULL AND {key} > ?)", [last]
        return f"({column} {sign} ? OR ({column} = ? AND {key} > ?) OR {column} IS NULL)", [value, value, last]

    def _check(self, start: Sequence[Any]) -> None:
        kinds = (int, float, type(None)) if self.is_number else (str, type(None))
        fits = len(start) == len(self.columns) and type(start[-1]) is str
        if not fits or (len(start) == 2 and type(start[0]) not in kinds):
            raise Declined("bad-cursor", "cursor: it is of a list in another order: start again without the cursor")


def order_of(text: str | None, columns: Mapping[str, pa.DataType], key: str) -> Order:
    """The order that `sort` names: a column, with a minus in front for the greatest value first.

    Raises:
      Problem: there is no such column, or its values have no order.
    """
    name = (text or key).removeprefix("-")
    is_descending = text is not None and text.startswith("-")
    sortable = [one for one, kind in columns.items() if _is_text(kind) or _is_number(kind)]
    if name not in sortable:
        raise Declined(
            "bad-request", f"sort: {text!r} is none of {', '.join(sortable)}, each also with a minus in front"
        )
    return Order(name, is_descending, key, _is_number(columns[name]))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def number_columns(columns: Mapping[str, pa.DataType]) -> list[str]:
    """The columns that have numbers."""
    return [name for name, kind in columns.items() if _is_number(kind)]


def identifier(name: str) -> str:
    """A name of a column that the table has, as SQL."""
    return '"' + name.replace('"', '""') + '"'


def next_cursor(
    number: int, request: Request, order: Order, rows: Sequence[Mapping[str, Any]], limit: int
) -> str | None:
    """The cursor of the page after `rows`, of which one more than `limit` was asked for; None on the last page."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return Cursor(number, request_digest(request), tuple(last[column] for column in order.columns)).text()
