"""What an import says: what was lost, left out and passed over, and what columns were taken for."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.terminal.errors import ROWS_LOST, CommandFailed, print_problems
from transforms.catalog.importers.audio_search import PassedOver
from transforms.catalog.importers.column_uses import ColumnUse
from transforms.catalog.problems import MOST_PROBLEMS, ProblemTally
from transforms.formats.quantities import quantity

_EXAMPLES = 10
"""Problems of a kind that are printed. The answer as JSON has more."""
_MOST_COLUMNS = 40
"""Columns of a table that are printed."""
_WIDEST = 40
"""Most characters of a cell."""
_HEADS = ("column", "becomes", "type", "filled", "examples")


def print_examples(what: str, tally: ProblemTally) -> None:
    """Writes the first problems of each column to stderr, and how many more there are."""
    for column, count in tally.counts.items():
        shown = tally.examples(column, _EXAMPLES)
        print_problems(shown)
        if count > len(shown):
            place = f" in column {column}" if column else ""
            print_problems([f"({count - len(shown)} more {what}{place}; --format json lists them)"])


def check_lost(limit: float, lost: int, read: int, what: str, missing: str = "nothing") -> None:
    """Raises CommandFailed if more than the limit is lost. `missing` is what was not written."""
    if lost > limit * read:
        raise CommandFailed(
            f"{lost} of {read} {what} lost ({lost / read:.1%}), more than --max-lost-ratio {limit:g}: {missing} was "
            "written; correct what is listed above, or give a higher limit",
            ROWS_LOST,
        )


def left_out_lines(tally: ProblemTally) -> Iterator[str]:
    """One line for each column with values that are missing in their tracks."""
    for column, count in tally.counts.items():
        yield f"{column}: {quantity(count, 'value')} left out, for example {tally.examples(column, 1)[0].message}"


def left_out_document(tally: ProblemTally) -> dict[str, object]:
    """The same for programs."""
    return {
        str(column): {"count": count, "examples": [str(problem) for problem in tally.examples(column, MOST_PROBLEMS)]}
        for column, count in tally.counts.items()
    }


def print_passed_over(over: PassedOver) -> None:
    """Writes what was passed over to stderr, with examples of each kind."""
    for kind, count in over.counts.items():
        shown = over.examples[kind][:_EXAMPLES]
        more = f", and {count - len(shown)} more" if count > len(shown) else ""
        print_problems([f"passed over, {kind}: {', '.join(shown)}{more}"])


def passed_over_text(over: PassedOver) -> str:
    """Numbers of what was passed over, after a colon; empty if there is none."""
    return ": " + ", ".join(f"{count} x {kind}" for kind, count in over.counts.most_common()) if over.counts else ""


def passed_over_document(over: PassedOver) -> dict[str, Any]:
    """The same for programs."""
    return {kind: {"count": count, "examples": over.examples[kind]} for kind, count in over.counts.items()}


def print_columns(form: str, columns: Sequence[ColumnUse], rows: int) -> None:
    """Writes to stderr, unless only errors are wanted, how a table is written and what its columns were taken for."""
    if not logging.getLogger(__name__).isEnabledFor(logging.WARNING):
        return
    cells = [_HEADS, *(_cells(use, rows) for use in columns[:_MOST_COLUMNS])]
    widths = [max(len(row[place]) for row in cells) for place in range(len(_HEADS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    if len(columns) > _MOST_COLUMNS:
        lines.append(f"({len(columns) - _MOST_COLUMNS} more columns; --format json lists them)")
    print_problems([form, *lines])


def _cells(use: ColumnUse, rows: int) -> tuple[str, ...]:
    share = f"{use.filled / rows:.0%}" if rows else ""
    kind = f"{use.type} ({use.note})" if use.note else use.type
    return _short(use.column), _short(use.becomes), kind, share, " | ".join(_short(text) for text in use.examples)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 3]}..."
