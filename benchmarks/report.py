"""Measured rows, `results.json`, and what the documents say of them between their markers."""

import dataclasses
import json
import statistics
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from transforms.features.spec import FeatureSpec

SCHEMA_VERSION = 1
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
CATALOG_TRACKS = 35_000_000
"""Size of the catalog that the design is meant for."""
TRACK_PATCHES = FeatureSpec().patches_per_track
_SUMMARISED = (
    "`tag`, steady state",
    "`tag --parameters none`, steady state",
    "MP3, 30 s: extraction over bare decode",
    "mp3, 4 min: extraction",
    "mp3, 4 min: parameters in all, of extraction",
    "`compact` by ONNX Runtime",
    "Cost of an unchanged track",
    "Peak memory of `tag`, 20,000 catalog rows: all processes",
)
"""Rows that the README's figures are made of."""


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
      date: when it was measured, if that was not with the other rows.
      cpu: processor it was measured on, if that was not with the other rows.
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
    date: str = ""
    cpu: str = ""

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
    """The table of all rows in Markdown, followed by the machine and the date."""
    lines = ["| what | measured | range | target |", "|---|---:|---:|---:|"]
    lines += [_line(row) for row in rows]
    lines += ["", textwrap.fill(f"{date}: {_sentence(machine)}", 100, break_on_hyphens=False)]
    if later := _occasions([row for row in rows if row.date], machine, date):
        lines += [textwrap.fill(f"Rows with a date: {later}.", 100, break_on_hyphens=False)]
    lines += ["Ranges are smallest to largest of the repetitions."]
    return "\n".join(lines)


def _line(row: Row) -> str:
    spread = "" if row.low is None or row.high is None else f"{number(row.low)} to {number(row.high)}"
    note = f" ({text})" if (text := "; ".join(filter(None, (row.note, row.date)))) else ""
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


def summary(rows: Sequence[Row], machine: dict[str, Any], date: str) -> str:
    """The README's rows in Markdown.

    Raises:
      ValueError: one of the measurements that they are made of is missing.
    """
    per_core = value_of(rows, "`tag`, steady state") / machine["cores"]
    per_core_without = value_of(rows, "`tag --parameters none`, steady state") / machine["cores"]
    hours = sum(cost for _, cost in track_costs(rows, machine)) * CATALOG_TRACKS / 3.6e6
    lines = [
        (
            "`tag`, new MP3s of 30 s, with a minimal numpy network, so that decoding dominates",
            f"{number(per_core)} tracks/s per core",
        ),
        (
            "The same with `--parameters none`: no tempo, key or loudness",
            f"{number(per_core_without)} tracks/s per core",
        ),
        (
            "Extraction for the network compared with decoding alone, MP3 of 30 s",
            f"{number(value_of(rows, 'MP3, 30 s: extraction over bare decode'))} times the time",
        ),
        (
            f"First run on {CATALOG_TRACKS:,} MP3s of 4 minutes, `compact` network, with parameters",
            f"{number(hours)} core-hours (projection)",
        ),
        ("Unchanged track in a later run", f"{number(value_of(rows, 'Cost of an unchanged track'))} ms"),
        (
            "Peak memory of `tag`, all processes, 20,000 tracks in one bucket",
            f"{number(value_of(rows, 'Peak memory of `tag`, 20,000 catalog rows: all processes'))} MiB",
        ),
    ]
    table = ["| what | measured |", "|---|---:|", *(f"| {what} | {measured} |" for what, measured in lines)]
    occasions = _occasions([row_of(rows, name) for name in _SUMMARISED], machine, date)
    sentence = textwrap.fill(f"Measured on {machine['cores']} cores: {occasions}.", 100, break_on_hyphens=False)
    return "\n".join([*table, "", sentence])


def _occasions(rows: Sequence[Row], machine: dict[str, Any], date: str) -> str:
    """When and on which processor rows were measured: `2026-11-30 (Abacus 9) and 2026-11-25 (Abacus 8)`."""
    found = sorted({(row.date or date, row.cpu or machine["cpu"]) for row in rows}, reverse=True)
    return " and ".join(f"{day} ({cpu})" for day, cpu in found)


def track_costs(rows: Sequence[Row], machine: dict[str, Any]) -> list[tuple[str, float]]:
    """Parts of a first run and the processor milliseconds that each takes per MP3 of 4 minutes.

    Raises:
      ValueError: one of the measurements is missing.
    """
    patch_ms = 1000 / value_of(rows, "`compact` by ONNX Runtime")
    extraction = value_of(rows, "mp3, 4 min: extraction")
    more = value_of(rows, "mp3, 4 min: parameters in all, of extraction") / 100
    return [
        (f"extraction of {TRACK_PATCHES} patches", extraction),
        ("tempo, key, loudness and the other parameters, of an excerpt of 30 s", more * extraction),
        (f"`compact` network on {TRACK_PATCHES} patches, ONNX Runtime", TRACK_PATCHES * patch_ms),
        (
            f"planning, tables, audit: time of an unchanged track on {machine['cores']} cores",
            machine["cores"] * value_of(rows, "Cost of an unchanged track"),
        ),
    ]


def projection(rows: Sequence[Row], machine: dict[str, Any]) -> str:
    """The cost of a first run on a large catalog, from measured parts, in Markdown."""
    costs = track_costs(rows, machine)
    hours = sum(cost for _, cost in costs) * CATALOG_TRACKS / 3.6e6
    nightly = costs[-1][1] * CATALOG_TRACKS / 3.6e6
    lines = [
        "| part | processor ms per track |",
        "|---|---:|",
        *(f"| {part} | {number(cost)} |" for part, cost in costs),
    ]
    lines += [f"| sum | {number(sum(cost for _, cost in costs))} |", ""]
    text = (
        f"{CATALOG_TRACKS:,} tracks at this sum take {number(hours)} core-hours, or {number(hours / 96)} hours on 96 "
        f"such cores. A later run in which no track changed takes {number(nightly)} core-hours."
    )
    return "\n".join([*lines, textwrap.fill(text, 100, break_on_hyphens=False)])


def value_of(rows: Sequence[Row], name: str) -> float:
    """The value of the one measurement of this name.

    Raises:
      ValueError: there is none, or there are several.
    """
    return row_of(rows, name).value


def row_of(rows: Sequence[Row], name: str) -> Row:
    """The one measurement of this name.

    Raises:
      ValueError: there is none, or there are several.
    """
    found = [row for row in rows if row.name == name]
    if len(found) != 1:
        raise ValueError(f"{len(found)} measurements are named {name!r}: run all benchmarks")
    return found[0]


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
        raise ValueError(f"{BEGIN} and {END} must appear in this order, once each")
    return text[:begin] + block + text[end + len(END) :]
