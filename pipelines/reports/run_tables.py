"""The tables of the page of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.terminal.progress import duration_text, size_text
from transforms.fusion.tally import ROW_OUTCOMES
from transforms.reports.markup import Html, element, html_joined
from transforms.reports.parts import barred_number, html_table

_COUNTED = {
    "new": "new tracks",
    "removed": "removed tracks",
    "extract": "extracted",
    "reuse": "taken from part files",
    "carry": "carried over",
    "remember": "remembered as rejected",
    "defer": "left to later runs",
}
_UNKNOWN = "–"

MOST_CHANGED_TAGS = 200
"""Most tags of a comparison in a page: those that changed most."""


def plan_table(plan: Mapping[str, Any]) -> Html:
    """What was planned when the run began, and what it did."""
    expected, happened = plan["expected"], plan["happened"]
    rows: list[list[object]] = [
        [text, f"{expected[n]:,}", _met(expected[n], happened[n])] for n, text in _COUNTED.items() if n in happened
    ]
    rows.append(["read", size_text(expected["read_bytes"]), size_text(happened["read_bytes"])])
    hoped, took = expected["core_seconds"], happened["core_seconds"]
    complete = all(stage in hoped for stage, seconds in took.items() if seconds)
    hoped_text = duration_text(sum(hoped.values())) if complete else _UNKNOWN
    rows.append(["processor time", hoped_text, duration_text(sum(took.values()))])
    rows.append(["wall time of the job", _UNKNOWN, duration_text(happened["wall_seconds"])])
    return html_table(["", "planned", "happened"], rows, "Tracks, bytes and time")


def changed_tracks_table(tracks: Mapping[str, int]) -> Html:
    """Numbers of tracks of a comparison, by what changed."""
    return html_table(["tracks", "number"], [[name, f"{count:,}"] for name, count in tracks.items()], "Tracks")


def changed_tags_table(tags: Sequence[Mapping[str, Any]]) -> Html:
    """Tags of a comparison, those with most changes first."""
    rows = sorted(tags, key=lambda row: (-row["gained"] - row["lost"], -(row["mean_distance"] or 0), row["tag"]))
    counts = ("positives_before", "positives_after", "gained", "lost", "shifted")
    body = [
        [
            row["tag"],
            *(f"{row[name]:,}" for name in counts),
            *(_UNKNOWN if row[name] is None else f"{row[name]:.4f}" for name in ("mean_shift", "max_distance")),
        ]
        for row in rows[:MOST_CHANGED_TAGS]
    ]
    head = ["tag", "tracks before", "tracks after", "gained", "lost", "shifted", "mean shift", "greatest shift"]
    return html_table(head, body, f"Tags (at most {MOST_CHANGED_TAGS})")


def _met(expected: int, happened: int) -> object:
    return f"{happened:,}" if expected == happened else element("b", f"{happened:,}")


def cause_table(causes: Mapping[str, int]) -> Html:
    """Numbers of tracks by the first cause that applies."""
    return html_table(["cause", "tracks"], [[cause, f"{count:,}"] for cause, count in causes.items()], "Causes")


def gate_table(gates: Mapping[str, Mapping[str, Any]]) -> Html:
    """All gates, those that failed first."""
    order = sorted(gates.items(), key=lambda item: (item[1]["passed"], item[0]))
    rows = [[name, f"{one['value']:.6g}", f"{one['limit']:.6g}", _result(one)] for name, one in order]
    return html_table(["gate", "value", "limit", "result"], rows, "A value above its limit blocks the run")


def _result(gate: Mapping[str, Any]) -> Html:
    if gate["passed"]:
        return element("span", "passed", class_="good")
    return element("span", "overridden" if gate.get("overridden") else "failed", class_="bad")


def stage_table(stages: Sequence[Mapping[str, Any]]) -> Html:
    """Processor time of the stages, measured and planned."""
    most = max((one["core_seconds"] or 0 for one in stages), default=0) or 1
    rows = [[one["stage"], _timed(one["core_seconds"], most), _seconds(one["planned_core_seconds"])] for one in stages]
    return html_table(["stage", "core-seconds", "planned"], rows, "Processor time of the stages")


def _timed(seconds: float | None, most: float) -> object:
    return _UNKNOWN if seconds is None else barred_number(_seconds(seconds), seconds / most)


def _seconds(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else f"{seconds:,.2f}"


def source_table(sources: Sequence[Mapping[str, Any]]) -> Html:
    """What became of the rows of each source."""
    head = ["source", "rows", *(outcome.replace("_", " ") for outcome in ROW_OUTCOMES)]
    rows = [[one["name"], *(f"{one[name]:,}" for name in ("rows", *ROW_OUTCOMES))] for one in sources]
    return html_table(head, rows, "Rows of the sources")


def size_table(work: Mapping[str, Any], tables: Mapping[str, Mapping[str, int]]) -> Html:
    """Bytes that were read, and sizes of what was written."""
    rows: list[list[object]] = [["sources read", "", "", size_text(work["read_bytes"])]]
    for name, one in sorted(tables.items()):
        rows.append([f"table {name}", f"{one['files']:,}", f"{one['rows']:,}", size_text(one["bytes"])])
    rows.append(["all tables", "", "", size_text(work["table_bytes"])])
    return html_table(["", "files", "rows", "bytes"], rows, "Bytes")


def phase_table(phases: Sequence[Mapping[str, Any]]) -> Html:
    """The phases of the command, in order."""
    rows = [[one["name"], _done(one), f"{one['seconds']:,.1f}", _end(one)] for one in phases]
    return html_table(["phase", "done", "seconds", "end"], rows, "Phases in the order in which they ended")


def _done(phase: Mapping[str, Any]) -> str:
    if not phase["unit"]:
        return _UNKNOWN
    total = "" if phase["total"] is None else f" of {phase['total']:,}"
    return f"{phase['done']:,}{total} {phase['unit']}"


def _end(phase: Mapping[str, Any]) -> Html:
    done = phase["completed"]
    return element("span", "completed" if done else "failed", class_="good" if done else "bad")


def track_table(tracks: Sequence[Mapping[str, Any]], caption: str) -> Html:
    """Tracks with what they took."""
    rows = [
        [
            html_joined(element("code", one["track_id"])),
            f"{one['core_seconds']:.2f}",
            size_text(one["child_bytes"] or None),
            size_text(one["source_bytes"] or None),
        ]
        for one in tracks
    ]
    return html_table(["track", "core-seconds", "memory", "size of the source"], rows, caption)
