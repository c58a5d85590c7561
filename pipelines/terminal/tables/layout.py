"""The columns of a table in a terminal, by three rules.

1. A table that fits is printed as it is.
2. Otherwise columns of text wrap, the widest first, but none is narrower than `LEAST` characters. Numbers never wrap.
3. If that is not enough, the last columns are left out, and a line names them. The first column stays.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

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


@dataclasses.dataclass(frozen=True)
class Hints:
    """How a user sees what does not fit.

    Attributes:
      rows: rows that are left out.
      columns: columns that are left out.
      cells: cells that are cut.
    """

    rows: str
    columns: str
    cells: str


ON_COMMAND_LINE = Hints(
    rows="--format csv prints all, as does a pipe",
    columns="ask for fewer columns, or --format json prints all",
    cells="--format json prints them whole",
)
IN_SHELL = Hints(
    rows="add LIMIT 40 OFFSET 40 for the next ones",
    columns="name the columns that you want after SELECT",
    cells="SELECT fewer columns, or substr(column, 200) for the rest",
)


def table_lines(
    names: Sequence[str],
    cells: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    width: int,
    hints: Hints = ON_COMMAND_LINE,
) -> Iterator[str]:
    """Yields the header, a rule, the rows, and what is not shown.

    Args:
      names: names of the columns.
      cells: rows of texts, each one line.
      numeric: whether a column has numbers, which are aligned to the right.
      width: width of the terminal.
      hints: how to see what is not shown.
    """
    columns = chosen_columns(_wanted(names, cells), numeric, width)
    yield from _row_lines(names, columns, numeric)
    yield GAP.join("-" * column for column in columns.widths)
    for row in cells:
        yield from _row_lines(row, columns, numeric)
    yield from _notes(names, cells, columns, hints)


def whole_lines(
    names: Sequence[str], cells: Sequence[Sequence[str]], numeric: Sequence[bool], later: Iterable[Sequence[str]] = ()
) -> Iterator[str]:
    """Yields the header, a rule, and each row in one line with every cell whole.

    Args:
      names: names of the columns.
      cells: the first rows, which decide the widths.
      numeric: whether a column has numbers, which are aligned to the right.
      later: further rows. A cell that is wider shifts the rest of its line.
    """
    widths = _wanted(names, cells)
    yield _whole_line(names, widths, numeric)
    yield GAP.join("-" * width for width in widths)
    for row in itertools.chain(cells, later):
        yield _whole_line(row, widths, numeric)


def _whole_line(row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    return GAP.join(map(padded, row, widths, numeric)).rstrip()


def _wanted(names: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    return [max([text_width(name), *(text_width(row[i]) for row in cells)]) for i, name in enumerate(names)]


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


def _notes(names: Sequence[str], cells: Sequence[Sequence[str]], columns: Columns, hints: Hints) -> Iterator[str]:
    """What the table does not show, and how to see it."""
    shown = list(zip(columns.kept, columns.widths, strict=True))
    if any(len(wrapped(row[i], width)) > MOST_LINES for row in cells for i, width in shown):
        yield f"(cells of more than {MOST_LINES} lines end with …: {hints.cells})"
    hidden = [name for i, name in enumerate(names) if i not in columns.kept]
    if hidden:
        do, are = ("do", "are") if len(hidden) > 1 else ("does", "is")
        left_out = f"{len(hidden)} of {len(names)} columns {do} not fit and {are} left out"
        yield f"({left_out}: {', '.join(hidden)}; {hints.columns})"
