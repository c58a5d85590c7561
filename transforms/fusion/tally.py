"""What became of the rows of all sources. Every row has one outcome."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

from transforms.formats.quantities import quantity

USED, UNKNOWN_TAG, UNKNOWN_ID, INVALID, REPEATED, IGNORED = (
    "used",
    "unknown_tag",
    "unknown_id",
    "invalid",
    "repeated",
    "ignored",
)
ROW_OUTCOMES = {
    USED: "It counts for at least one track of the catalog.",
    UNKNOWN_TAG: "The taxonomy has no such tag, neither as an id nor as an alias.",
    UNKNOWN_ID: "The catalog has no such track, artist or album.",
    INVALID: "It cannot be read: no id or tag, or a weight that is no number from 0 to 1.",
    REPEATED: "The source has the same id and tag with an equal or a higher weight.",
    IGNORED: "The file of `--fusion` ignores the source in the category of the tag.",
}
"""Outcome of a row -> its meaning."""

LOST = (UNKNOWN_TAG, UNKNOWN_ID, INVALID)
"""Outcomes that the gate `source_rows` counts."""

MOST_LOST_EXAMPLES = 5
_EXAMPLE_CHARS = 300


@dataclasses.dataclass(frozen=True)
class RowTally:
    """Counts over any number of rows. Sums do not depend on their order.

    Attributes:
      counts: (source, outcome) -> number of rows.
      examples: (source, outcome) -> the first rows, sorted, as text.
      tracks: number of tracks of which a source says something.
    """

    counts: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    examples: dict[tuple[str, str], tuple[str, ...]] = dataclasses.field(default_factory=dict)
    tracks: int = 0

    @classmethod
    def of(cls, source: str, outcome: str, count: int, examples: Iterable[str] = ()) -> Self:
        """The counts of rows of one source with one outcome."""
        if not count:
            return cls()
        found = _first(examples)
        return cls(Counter({(source, outcome): count}), {(source, outcome): found} if found else {})

    def __add__(self, other: "RowTally") -> "RowTally":
        keys = {*self.examples, *other.examples}
        return RowTally(
            self.counts + other.counts,
            {key: _first((*self.examples.get(key, ()), *other.examples.get(key, ()))) for key in keys},
            self.tracks + other.tracks,
        )

    def of_source(self, name: str) -> dict[str, Any]:
        """Rows of a source: `rows`, one number for each outcome, and `examples` of lost rows."""
        counts = {outcome: self.counts[name, outcome] for outcome in ROW_OUTCOMES}
        examples = {outcome: list(self.examples.get((name, outcome), ())) for outcome in LOST}
        return {
            "rows": sum(counts.values()),
            **counts,
            "examples": {outcome: found for outcome, found in examples.items() if found},
        }


def add_tallies(tallies: Iterable[RowTally]) -> RowTally:
    """The sum."""
    return sum(tallies, start=RowTally())


def lost_share(source: dict[str, Any]) -> float:
    """Rows of a source, as in `RowTally.of_source`, that are lost, divided by all its rows; 0 if it has no rows."""
    return sum(source[outcome] for outcome in LOST) / source["rows"] if source["rows"] else 0.0


def lost_texts(sources: Sequence[dict[str, Any]]) -> list[str]:
    """The sources with lost rows, the worst first, with counts."""
    worst = sorted((s for s in sources if lost_share(s)), key=lambda s: (-lost_share(s), s["name"]))
    return [_lost_text(source) for source in worst]


def _lost_text(source: dict[str, Any]) -> str:
    counts = ", ".join(f"{source[outcome]} {outcome}" for outcome in LOST if source[outcome])
    return f"{source['name']}: {quantity(source['rows'], 'row')}, {counts}"


def _first(texts: Iterable[str]) -> tuple[str, ...]:
    shortened = (text if len(text) <= _EXAMPLE_CHARS else f"{text[:_EXAMPLE_CHARS]}..." for text in texts)
    return tuple(sorted(set(shortened))[:MOST_LOST_EXAMPLES])
