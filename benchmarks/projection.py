"""What a catalog of 35 million tracks takes on disk and of processor time, from measurements, in Markdown."""

import textwrap
from collections.abc import Sequence
from typing import Any

from benchmarks.report import CATALOG_TRACKS, Row, number, projection, render, track_costs, value_of
from transforms.schemas.tables import TABLES

CHANGED = 0.01
"""Share of the tracks that change in a night."""

TRACKS_ROW = "New head, `diff`, night: size of the table"
PER_TRACK = tuple(name for name in TABLES if name not in ("taxonomy", "neighbours"))
"""The tables that grow with the catalog."""


def performance(rows: Sequence[Row], machine: dict[str, Any], date: str) -> str:
    """The generated part of `docs/performance.md`."""
    parts = [f"## Projection to {CATALOG_TRACKS:,} tracks", projection(rows, machine)]
    parts += ["### Storage and jobs", projections(rows, machine), "## All measurements", render(rows, machine, date)]
    return "\n\n".join(parts)


def projections(rows: Sequence[Row], machine: dict[str, Any]) -> str:
    """Two tables: bytes of all tables, and core-hours of all jobs.

    Raises:
      ValueError: one of the measurements is missing.
    """
    return "\n".join([*_storage(rows), "", *_jobs(rows, machine), "", _explained(rows)])


def _storage(rows: Sequence[Row]) -> list[str]:
    sizes = {f"`{name}`": value_of(rows, f"Published bytes: `{name}`") for name in PER_TRACK}
    sizes["one snapshot"] = sum(sizes.values())
    sizes["part files, until `gc`"] = value_of(rows, "Stored bytes: part files")
    lines = (f"| {name} | {number(size)} | {number(size * CATALOG_TRACKS / 1e9)} GB |" for name, size in sizes.items())
    return [f"| table | bytes per track | {CATALOG_TRACKS:,} tracks |", "|---|---:|---:|", *lines]


def _jobs(rows: Sequence[Row], machine: dict[str, Any]) -> list[str]:
    extraction, parameters, network, tables = (cost for _, cost in track_costs(rows, machine))
    fresh = extraction + parameters + network
    night = value_of(rows, "Night at 1 %: processor time without extraction")
    head = value_of(rows, "New head: processor time")
    jobs = [
        ("first run, MP3s of 4 minutes", fresh + tables, None),
        ("night with 1 % changed", night + CHANGED * fresh, "Night at 1 %: bytes written"),
        ("new head for all tracks", head, "New head: bytes written"),
        ("`diff` of two snapshots", value_of(rows, "`diff` of two snapshots: processor time"), None),
    ]
    return [
        "| job | processor ms per track | core-hours | bytes written |",
        "|---|---:|---:|---:|",
        *(
            f"| {job} | {number(cost)} | {number(cost * CATALOG_TRACKS / 3.6e6)} | {_written(rows, written)} |"
            for job, cost, written in jobs
        ),
    ]


def _written(rows: Sequence[Row], name: str | None) -> str:
    return "" if name is None else f"{number(value_of(rows, name) * CATALOG_TRACKS / 1e9)} GB"


def _explained(rows: Sequence[Row]) -> str:
    text = (
        f"Sizes, and jobs other than the first run, were measured on one table of {number(value_of(rows, TRACKS_ROW))} "
        "tracks, see the rows below. Its tracks have no albums; scores and embeddings are random, so real tables "
        "compress better. Extraction is not part of what was measured there, and is added from the projection above."
    )
    return textwrap.fill(text, 100, break_on_hyphens=False)
