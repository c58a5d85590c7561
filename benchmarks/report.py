"""Measured rows, `results.json`, and the README's table between its markers."""

import dataclasses
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

SCHEMA_VERSION = 1
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One figure.

    Attributes:
      benchmark: which benchmark measured it, e.g. `extraction`.
      name: what was measured, as the table prints it.
      value: the median where there are several measurements, the only one otherwise.
      unit: `ms`, `s`, `MiB`, `x`, `%`, `tracks/s` ...
      low, high: smallest and largest measurement.
      samples: number of measurements.
      target: the most that `value` may be, or the least where `at_least` is set; None where there is no target.
      note: how it was measured, in a few words.
    """

    benchmark: str
    name: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    samples: int = 1
    target: float | None = None
    at_least: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        for field in ("value", "low", "high", "target"):
            number = getattr(self, field)
            if number is not None and not abs(number) < float("inf"):
                raise ValueError(f"{self.name}: {field}={number} is not a finite number")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise ValueError(f"{self.name}: {self.value} lies outside {self.low} to {self.high}")

    @classmethod
    def of(cls, values: Sequence[float], **fields: Any) -> Self:
        """The row of several measurements: median, smallest, largest."""
        spread = {"low": min(values), "high": max(values)} if len(values) > 1 else {}
        return cls(value=statistics.median(values), samples=len(values), **spread, **fields)

    @property
    def is_met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def to_json(self) -> dict[str, Any]:
        """The row as a JSON object."""
        return {**dataclasses.asdict(self), "is_met": self.is_met}

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The row that `to_json` wrote."""
        return cls(**{key: value for key, value in obj.items() if key != "is_met"})


def write_results(path: Path, rows: Iterable[Row], machine: dict[str, Any], date: str) -> None:
    """Writes `results.json`: machine, date and rows."""
    results = {
        "schema_version": SCHEMA_VERSION,
        "date": date,
        "machine": machine,
        "rows": [row.to_json() for row in rows],
    }
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def read_results(path: Path) -> tuple[list[Row], dict[str, Any], str]:
    """Rows, machine and date of a `results.json`.

    Raises:
      ValueError: written by another schema version.
    """
    results = json.loads(path.read_text(encoding="utf-8"))
    if results["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"{path}: schema version {results['schema_version']}, this version reads {SCHEMA_VERSION}")
    return [Row.from_json(row) for row in results["rows"]], results["machine"], results["date"]


def render(rows: Sequence[Row], machine: dict[str, Any], date: str) -> str:
    """The table in Markdown, with the machine and the date under it."""
    lines = ["| what | measured | range | target |", "|---|---:|---:|---:|"]
    lines += [_line(row) for row in rows]
    lines += ["", f"{date}: {_sentence(machine)} Ranges are smallest to largest of the repetitions."]
    return "\n".join(lines)


def _line(row: Row) -> str:
    spread = "" if row.low is None or row.high is None else f"{number(row.low)} to {number(row.high)}"
    note = f" ({row.note})" if row.note else ""
    target = ""
    if row.target is not None:
        target = f"{'≥' if row.at_least else '≤'} {number(row.target)}{'' if row.is_met else ', **missed**'}"
    return f"| {row.name}{note} | {number(row.value)} {row.unit} | {spread} | {target} |"


def number(value: float) -> str:
    """Three significant digits, thousands separated: 0.0123, 1.34, 42.1, 12,345."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 if abs(value) < 10 else 1
    return f"{value:.{digits}f}" if abs(value) >= 1 else f"{value:.3g}"


def _sentence(machine: dict[str, Any]) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    return (
        f"{machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']} GiB, {machine['os']}, "
        f"Python {machine['python']}, {libraries}."
    )


def replace_between_markers(text: str, table: str) -> str:
    """The text with everything between the markers replaced; a section is added where there are none.

    Raises:
      ValueError: one marker without the other, or in the wrong order.
    """
    begin, end = text.find(BEGIN), text.find(END)
    block = f"{BEGIN}\n{table}\n{END}"
    if begin == end == -1:
        return f"{text.rstrip()}\n\n## Performance\n\n{block}\n"
    if begin == -1 or end < begin:
        raise ValueError(f"README: {BEGIN} and {END} must stand in this order, once each")
    return text[:begin] + block + text[end + len(END) :]
