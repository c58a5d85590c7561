"""The page of a run, made of its summary. Its size does not grow with the catalog."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.reports.run_summary import BLOCKED, PUBLISHED, SAMPLED
from pipelines.reports.run_tables import (
    cause_table,
    changed_tags_table,
    changed_tracks_table,
    gate_table,
    phase_table,
    plan_table,
    size_table,
    source_table,
    stage_table,
    track_table,
)
from pipelines.terminal.progress import duration_text
from transforms.formats.quantities import quantity
from transforms.reports.dots import Dots, dot_plot
from transforms.reports.markup import Html, element, escaped, html_joined
from transforms.reports.page import html_page
from transforms.reports.parts import captioned, fact_list, folded, html_table, tile_row

MOST_DOTS = 40
"""Most tags in the plot: those whose prevalence changed most."""

MOST_TABLE_TAGS = 500
"""Most tags in the table below the plot."""

MOST_OVERRIDES = 50
"""Most overrides that are listed: the latest."""

Summary = Mapping[str, Any]


def run_page(summary: Summary) -> str:
    """The page of a summary, see `run_summary`."""
    return html_page(_title(summary), _body(summary))


def _title(summary: Summary) -> str:
    told = f"snapshot {summary['snapshot']}" if summary["status"] == PUBLISHED else summary["status"]
    return f"{_name(summary)}: {told}"


def _name(summary: Summary) -> str:
    return "Run of tag" if summary["run"] is None else f"Run {summary['run']['run_id']}"


def _body(summary: Summary) -> Iterator[Html]:
    colour = "good" if summary["status"] in (PUBLISHED, SAMPLED) else "bad"
    told = summary["status"] if summary["snapshot"] is None else f"published as snapshot {summary['snapshot']}"
    state = element("span", told, class_=f"state {colour}")
    place = element("p", f"{summary['table']}, {summary['when']}", class_="soft")
    yield element("header", element("h1", _name(summary), " ", state), place)
    if summary["cause"]:
        yield element("p", element("b", "Blocked: " if summary["status"] == BLOCKED else "Failed: "), summary["cause"])
        if summary["details"]:
            yield element("pre", "\n".join(summary["details"]))
        yield element("p", f"Nothing was published. Exit code {summary['exit_code']}.", class_="soft")
    if (run := summary["run"]) is not None:
        yield from _of_run(summary, run)
    elif summary["launch"] is not None and summary["launch"]["counts"]:
        yield from _of_launch(summary, summary["launch"])
    if summary["phases"]:
        yield element("h2", "Phases of the command")
        yield phase_table(summary["phases"])
    yield element("h2", "What ran")
    yield fact_list(_facts(summary))


def _of_run(summary: Summary, run: Summary) -> Iterator[Html]:
    yield _tiles(summary, run)
    yield from _gates(run)
    if (found := summary.get("comparison")) is not None:
        yield element("h2", "What a run over all tracks would change")
        yield changed_tracks_table(found["tracks"])
        yield changed_tags_table(found["tags"])
    yield element("h2", "Plan and outcome")
    if run["plan"]:
        yield plan_table(run["plan"])
        yield folded("Why the tracks were planned so", cause_table(run["plan"]["causes"]))
    else:
        yield element("p", "The run has no plan.", class_="soft")
    yield from _work(summary, run)
    if run["fusion"]:
        yield element("h2", "Sources that the scores were combined with")
        yield source_table(run["fusion"]["sources"])
        yield from _lost_rows(summary["lost_source_rows"])
    yield from _prevalence(summary["prevalence"])
    yield from _costly(summary)
    yield from _rejects(summary)


def _lost_rows(lost: Mapping[str, Mapping[str, list[str]]]) -> Iterator[Html]:
    """Examples of rows of sources that could not be used."""
    for source, found in lost.items():
        for outcome, examples in found.items():
            lines = element("ul", *(element("li", example) for example in examples))
            yield folded(f"{source}: {outcome}", lines)


def _of_launch(summary: Summary, launch: Summary) -> Iterator[Html]:
    """What a job did whose run was not written."""
    yield tile_row((f"{count:,}", name, "") for name, count in launch["counts"].items())
    if launch["plan"]:
        yield element("h2", "Plan and outcome")
        yield plan_table(launch["plan"])
    yield from _costly(summary)


def _tiles(summary: Summary, run: Summary) -> Html:
    counts, work = run["counts"], summary["work"]
    catalog = counts["catalog"]
    tiles: list[tuple[object, object, object]] = [
        (f"{catalog:,}", "tracks in the catalog", f"{run['changes'].get('added', 0):,} new"),
        (f"{counts['tagged']:,}", "tagged", f"{work['extracted']:,} extracted, {counts['reused']:,} from part files"),
        (f"{counts['carried']:,}", "carried over", _carried(work["same_bytes"])),
        (f"{counts['rejected']:,}", "rejected", f"{_share(counts['rejected'], catalog)} of all tracks"),
    ]
    if work["seconds"] is not None:
        tiles.append((duration_text(work["seconds"]), "wall time", _rate(catalog, work["seconds"])))
    if work["core_hours"] is not None:
        tiles.append((duration_text(work["core_hours"] * 3600), "processor time", _per_core_hour(work)))
    if (money := work["money"]) is not None:
        parts = (f"{name.replace('_', ' ')} {_price(money[name])}" for name in ("compute", "read", "storage_month"))
        tiles.append((_price(money["total"]), money["currency"], ", ".join(parts)))
    return tile_row(tiles)


def _carried(same_bytes: int) -> str:
    if not same_bytes:
        return "unchanged since the last snapshot"
    return f"unchanged since the last snapshot, {same_bytes:,} of them read: another time or name, the same bytes"


def _share(count: int, total: int) -> str:
    return f"{count / total:.2%}" if total else "none"


def _rate(tracks: int, seconds: float) -> str:
    return f"{tracks / seconds:.4g} tracks/s" if seconds else ""


def _per_core_hour(work: Summary) -> str:
    decoded, every = (work[f"{name}_tracks_per_core_hour"] for name in ("decoded", "catalog"))
    found = [f"{work['core_hours']:.3g} core-hours"]
    if decoded is not None:
        found.append(f"{decoded:,.0f} extracted tracks per core-hour")
    elif every is not None:
        found.append(f"{every:,.0f} tracks per core-hour")
    return ", ".join(found)


def _price(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _gates(run: Summary) -> Iterator[Html]:
    yield element("h2", "Gates")
    if not run["gates"]:
        yield element("p", "No gate was measured.", class_="soft")
        return
    yield gate_table(run["gates"])
    for name, gate in sorted(run["gates"].items()):
        if gate.get("offenders"):
            worst = element("ul", *(element("li", one) for one in gate["offenders"]))
            yield folded(f"Worst of gate {name}", worst, opened=True)
    if not run["overrides"]:
        return
    lines = (
        element("li", f"Snapshot {one['snapshot']}: {one['gate']}, by {one['by']} at {one['when']}: {one['reason']}")
        for one in run["overrides"][-MOST_OVERRIDES:]
    )
    yield html_joined(element("p", "Overrides of this table, oldest first:"), element("ul", *lines))


def _work(summary: Summary, run: Summary) -> Iterator[Html]:
    yield element("h2", "Work")
    if run["measured"]:
        yield stage_table(summary["stages"])
    yield size_table(summary["work"], run["tables"])


def _prevalence(found: Mapping[str, Any]) -> Iterator[Html]:
    yield element("h2", "Tags against the last snapshot")
    if not found:
        yield element("p", "There is no earlier snapshot that can be compared.", class_="soft")
        return
    carried = {tag: one for tag, one in found.items() if any(one["positives"])}
    none = len(found) - len(carried)
    if none:
        yield element("p", f"{quantity(none, 'tag')}: no track in either. They are left out.", class_="soft")
    if not carried:
        return
    rows = sorted(
        (_dots(tag, one) for tag, one in carried.items()), key=lambda row: (-abs(row.after - row.before), row)
    )
    shown = "" if len(rows) <= MOST_DOTS else f" The {MOST_DOTS} of {len(rows)} tags that changed most."
    plot = dot_plot(rows[:MOST_DOTS], "Prevalence of tags in the last snapshot and in this run")
    yield captioned(plot, f"Share of the tagged tracks that carry a tag. Circle: last snapshot. Dot: this run.{shown}")
    body = [
        [
            row.name,
            *(f"{n:,}" for n in found[row.name]["positives"]),
            f"{row.before:.3%}",
            f"{row.after:.3%}",
            _index(found[row.name]["stability_index"]),
        ]
        for row in rows[:MOST_TABLE_TAGS]
    ]
    head = ["tag", "tracks before", "tracks now", "share before", "share now", "stability index of the scores"]
    rest = "" if len(rows) <= MOST_TABLE_TAGS else f" (the {MOST_TABLE_TAGS} of {len(rows)} that changed most)"
    yield folded(f"Every tag{rest}", html_table(head, body, "Prevalence per tag"))


def _dots(tag: str, found: Mapping[str, Any]) -> Dots:
    before, after = (
        positives / tracks if tracks else 0.0
        for positives, tracks in zip(found["positives"], found["tracks"], strict=True)
    )
    return Dots(tag, before, after, f"{100 * (after - before):+.2f} points")


def _index(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _costly(summary: Summary) -> Iterator[Html]:
    if not summary["slowest"] and not summary["heaviest"]:
        return
    yield element("h2", "Most costly tracks")
    if summary["slowest"]:
        yield track_table(summary["slowest"], "Most processor time to decode and compute features")
    if summary["heaviest"]:
        yield track_table(summary["heaviest"], "Most memory of the decoder's process")


def _rejects(summary: Summary) -> Iterator[Html]:
    if not summary["rejects"]:
        return
    yield element("h2", "Rejected tracks")
    for one in summary["rejects"]:
        lines = (_example(found) for found in one["examples"])
        text = f"{one['reason']}: {one['tracks']:,}"
        if one["examples"]:
            yield folded(text, element("ul", *lines), opened=True)
        else:
            yield element("p", escaped(text))


def _example(found: Mapping[str, str]) -> Html:
    further = (f", {found[name]}" for name in ("uri", "detail") if found[name])
    return element("li", element("b", found["track_id"]), *further)


def _facts(summary: Summary) -> dict[str, object]:
    facts: dict[str, object] = {name: summary[name] for name in ("table", "catalog", "model") if name in summary}
    if summary["snapshot"] is not None:
        facts["snapshot"] = summary["snapshot"]
    facts |= {"ended": summary["when"], "exit code": summary["exit_code"]}
    if (run := summary["run"]) is not None:
        names = {"run_id": "run", "parent": "last snapshot", "content_hash": "content hash", "counted": "rows counted"}
        facts |= {text: run[name] for name, text in names.items() if run[name] is not None}
        facts |= {name.removesuffix("_id"): value for name, value in run["ids"].items()}
        facts |= {name.replace("_", "-"): value for name, value in run["options"].items() if value is not None}
    return facts
