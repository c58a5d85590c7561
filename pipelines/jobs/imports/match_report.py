"""The report of rows and files without a partner, beside the catalog."""

import io
from collections.abc import Iterator
from typing import Any

from pipelines.terminal.comma_separated import write_csv
from transforms.catalog.importers.matching import MOST_ENTRIES, MatchReport, Unmatched
from transforms.formats.quantities import quantity

_EXAMPLES = 3


def report_url(output: str) -> str:
    """URL of the report of a catalog.

    >>> report_url("music/catalog.parquet")
    'music/catalog.unmatched.csv'
    """
    return f"{output.removesuffix('.parquet')}.unmatched.csv"


def report_bytes(report: MatchReport) -> bytes:
    """The report as CSV, safe for spreadsheets: rows and files without a partner, at most 10,000 of a kind."""
    text = io.StringIO()
    rows: list[Unmatched] = sorted(report.entries, key=_kind)
    write_csv(text, Unmatched._fields, rows, safe=True)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _kind(entry: Unmatched) -> tuple[str, str]:
    return entry.side, entry.reason


def report_lines(report: MatchReport, url: str, *, plan: bool) -> Iterator[str]:
    """What matched and what did not, with examples."""
    yield f"{quantity(report.matched, 'row')} matched"
    for (side, reason), count in sorted(report.counts.items()):
        places = [entry.place for entry in report.entries if _kind(entry) == (side, reason)]
        more = ", ..." if count > _EXAMPLES else ""
        yield f"{quantity(count, side)}: {reason} ({', '.join(places[:_EXAMPLES])}{more})"
    if report.counts and not plan:
        bound = f" (the first {MOST_ENTRIES} of a kind)" if max(report.counts.values()) > MOST_ENTRIES else ""
        yield f"{url}: rows and files without a partner{bound}"


def report_document(report: MatchReport, url: str, *, plan: bool) -> dict[str, Any]:
    """The same for programs."""
    counts = {f"{side}: {reason}": count for (side, reason), count in sorted(report.counts.items())}
    return {"matched": report.matched, "unmatched": counts, "report": None if plan else url}
