"""The columns of a table in a terminal, by three rules.

1. A table that fits is printed as it is.
2. Otherwise columns of text wrap, the widest first, but none is narrower than `LEAST` characters. Numbers never wrap.
3. If that is not enough, the last columns are left out, and a line names them. The first column stays.
"""

import dataclasses
from collections.abc import Iterator, Sequence

from pipelines.terminal.tables.widths import padded, shortened, text_width, wrapped

GAP = "  "
LEAST = 20
"""No column of text is narrower, unless its content is or the terminal has less."""

MOST_LINES = 6
"""A cell takes at most so many lines."""


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which columns are printed, and how wide.

    Attributes:
      kept: positions of the columns that are printed.
      widths: their widths in characters of the terminal.
    """

    kept: list[int]
    widths: list[int]


def chosen_columns(wanted: Sequence[int], numeric: Sequence[bool], total: int) -> Columns:
    """Chooses columns by the rules above.

    Args:
      wanted: width of each column without wrapping.
      numeric: whether a column has numbers.
      total: width of the terminal.
    """
    least = [width if number else min(width, LEAST) for width, number in zip(wanted, numeric, strict=True)]
    kept = len(wanted)
    while kept > 1 and sum(least[:kept]) + len(GAP) * (kept - 1) > total:
        kept -= 1
    space = total - len(GAP) * (kept - 1)
    return Columns(list(range(kept)), _narrowed(list(wanted[:kept]), least[:kept], space))


def _narrowed(widths: list[int], least: list[int], total: int) -> list[int]:
    """Reduces widths until their sum is at most `total`, the widest above its least width first."""
    if len(widths) == 1:
        return [max(min(widths[0], total), 1)]
    while (surplus := sum(widths) - total) > 0:
        above = [i for i, width in enumerate(widths) if width > least[i]]
        widest = max(widths[i] for i in above)
        group = [i for i in above if widths[i] == widest]
        floor = max(max((widths[i] for i in above if widths[i] < widest), default=0), max(least[i] for i in group))
        cut = min(widest - floor, -(-surplus // len(group)))
        for i in group:
            widths[i] -= cut
    return widths


def table_lines(
    names: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool], width: int | None
) -> Iterator[str]:
    """Yields the header, a rule, the rows, and what is not shown.

    Args:
      names: names of the columns.
      cells: rows of texts, each one line.
      numeric: whether a column has numbers, which are aligned to the right.
      width: width of the terminal; None prints every cell whole, each row in one line.
    """
    wanted = [max([text_width(name), *(text_width(row[i]) for row in cells)]) for i, name in enumerate(names)]
    columns = Columns(list(range(len(names))), wanted) if width is None else chosen_columns(wanted, numeric, width)
    yield from _row_lines(names, columns, numeric)
    yield GAP.join("-" * column for column in columns.widths)
    for row in cells:
        yield from _row_lines(row, columns, numeric)
    yield from _notes(names, cells, columns)


def _row_lines(row: Sequence[str], columns: Columns, numeric: Sequence[bool]) -> Iterator[str]:
    texts = [_cell_lines(row[i], width) for i, width in zip(columns.kept, columns.widths, strict=True)]
    for number in range(max(map(len, texts), default=0)):
        parts = [
            padded(lines[number] if number < len(lines) else "", width, numeric[i])
            for lines, i, width in zip(texts, columns.kept, columns.widths, strict=True)
        ]
        yield GAP.join(parts).rstrip()


def _cell_lines(text: str, width: int) -> list[str]:
    lines = wrapped(text, width)
    if len(lines) <= MOST_LINES:
        return lines
    last = lines[MOST_LINES - 1]
    return [*lines[: MOST_LINES - 1], f"{last}…" if text_width(last) < width else shortened(last, width)]


def _notes(names: Sequence[str], cells: Sequence[Sequence[str]], columns: Columns) -> Iterator[str]:
    """What the table does not show, and how to see it."""
    shown = list(zip(columns.kept, columns.widths, strict=True))
    if any(len(wrapped(row[i], width)) > MOST_LINES for row in cells for i, width in shown):
        yield f"(cells of more than {MOST_LINES} lines end with …: --format json prints them whole)"
    hidden = [name for i, name in enumerate(names) if i not in columns.kept]
    if hidden:
        number = f"{len(hidden)} of {len(names)} columns do" if len(hidden) > 1 else f"1 of {len(names)} columns does"
        yield f"({number} not fit and {'are' if len(hidden) > 1 else 'is'} left out: {', '.join(hidden)}; {_REMEDY})"


_REMEDY = "ask for fewer columns, or --format json prints all"
