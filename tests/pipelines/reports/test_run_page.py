"""The page of a run: escaped, self-contained, of bounded size; the same numbers as its summary."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.planning.prices import Prices
from pipelines.reports.run_page import MOST_DOTS, MOST_TABLE_TAGS, run_page
from pipelines.reports.run_summary import BLOCKED, PUBLISHED, RunEnd, run_summary
from tests.support.outlines import PageOutline
from transforms.publishing.receipts import Receipt
from transforms.table.snapshots import COUNTS, DataFile, Ids, Run
from transforms.tagging.costs import STAGES
from transforms.telemetry.phases import PhaseRecord

WHEN = "2031-05-06T07:08:09+00:00"
EXPECTED = {"new": 2, "removed": 0, "extract": 2, "reuse": 0, "carry": 5, "remember": 1, "read_bytes": None}


def run_of(text: str = "x", tags: int = 2) -> Run:
    """A run of eight tracks, with a text from outside wherever one can be."""
    counts = dict.fromkeys(COUNTS, 0) | {"catalog": 8, "tagged": 2, "carried": 5, "rejected": 1, "decoded": 2}
    file = DataFile(
        table="ledger", path="data/run=a/l.parquet", bucket=0, rows=8, bytes=4_000_000, sha256="", content=""
    )
    gate = {"value": 0.5, "limit": 0.1, "passed": False, "offenders": [text], "overridden": True}
    override = {"snapshot": 4, "gate": "rejected", "by": text, "when": WHEN, "reason": text}
    drift = {"positives": [10, 30], "tracks": [100, 120], "stability_index": 0.125}
    return Run(
        run_id="run-1",
        parent=3,
        ids=Ids(feature_id="f", embedding_id="e", tagger_id="t", taxonomy_id="x"),
        counts=counts,
        reasons={"silent": 1},
        options={"min_score": 0.1, "top_k": None},
        files=(file,),
        counted=8,
        changes={"added": 2, "removed": 0},
        evidence={"drift": {f"{text}{number}": {**drift, "unchanged": {}} for number in range(tags)}},
        overrides=(override,),
        gates={"rejected": gate, "empty": {"value": 0, "limit": 0, "passed": True}},
        measured={
            "core_seconds": dict.fromkeys(STAGES, 720.0),
            "counters": {"extract": {"tracks_read": 3, "tracks_rejected": 1}},
            "distributions": {"extract": {"source_bytes": {"count": 2, "sum": 9_000_000, "min": 1, "max": 2}}},
        },
        plan={
            "causes": {"new": 2},
            "expected": {**EXPECTED, "core_seconds": dict.fromkeys(STAGES, 700.0)},
            "happened": {**EXPECTED, "extract": 1, "core_seconds": dict.fromkeys(STAGES, 720.0), "wall_seconds": 60.0},
        },
    )


def summary_of(text: str = "x", tags: int = 2, status: str = BLOCKED) -> dict:
    cost = {"track_id": text, "core_seconds": 1.5, "child_bytes": 80_000_000, "source_bytes": 5_000_000}
    example = {"track_id": text, "uri": f"{text}y", "detail": f"{text}z"}
    named = {"slowest": [cost], "heaviest": [cost], "rejects": {"silent": [example]}}
    receipt = Receipt(run_id="run-1", tracks=named)
    end = RunEnd(status=PUBLISHED, when=WHEN, snapshot=4)
    if status == BLOCKED:
        end = RunEnd(status=BLOCKED, when=WHEN, exit_code=3, cause=f"{text}!", details=(text,))
    phase = PhaseRecord(name=text, seconds=2.0, done=8, total=8, unit="tracks", completed=True)
    priced = Prices(currency="EUR", core_hour=0.5, read_gb=1.0).of
    facts = {"table": text, "catalog": text, "model": text}
    return run_summary(facts, end, [phase], run=run_of(text, tags), receipt=receipt, priced=priced, seconds=90.0)


PLAIN = PageOutline(run_page(summary_of()))


@given(st.text(min_size=1, max_size=30) | st.sampled_from(["<script>", '"><img src=x onerror=y>', "</h1>", "&quot;"]))
def test_no_text_from_outside_changes_the_page(text: str) -> None:
    outline = PageOutline(run_page(summary_of(text)))
    assert outline.open == [] and outline.elements == PLAIN.elements
    assert [(tag, name) for tag, name, _ in outline.attributes] == [(tag, name) for tag, name, _ in PLAIN.attributes]


@pytest.mark.parametrize("status", [PUBLISHED, BLOCKED])
def test_nothing_is_loaded_from_elsewhere(status: str) -> None:
    page = run_page(summary_of(status=status))
    assert not {"script", "link", "img", "iframe", "object"} & set(PageOutline(page).elements)
    assert not re.search(r"https?:|@import|url\(|src=|href=", page)


def test_the_page_shows_the_numbers() -> None:
    page = run_page(summary_of())
    texts = PageOutline(page).texts
    assert {"8", "2 extracted, 0 from part files", "12.50% of all tracks", "1 min 30 s", "1 h 0 min"} <= set(texts)
    assert "1 core-hours, 2 extracted tracks per core-hour" in texts
    assert {"0.509", "compute 0.5, read 0.009, storage month 0"} <= set(texts)
    assert [texts[i + 1 : i + 6] for i, text in enumerate(texts) if text == "rejected"][-1][
        :1
    ] and "overridden" in texts
    assert "Snapshot 4: rejected, by x at 2031-05-06T07:08:09+00:00: x" in texts
    assert texts.count("+15.00 points") == 2 and "25.000%" in texts and "10.000%" in texts
    assert "silent: 1" in texts and ", xy, xz" in "".join(texts)
    assert "<b>1</b>" in page, "what did not go as planned is marked"


def page_of(run: Run) -> tuple[dict, list[str]]:
    end = RunEnd(status=PUBLISHED, when=WHEN, snapshot=4)
    summary = run_summary({"table": "t"}, end, [], run=run, seconds=90.0)
    return summary, PageOutline(run_page(summary)).texts


def test_rejects_are_not_counted_as_extracted() -> None:
    counts = dict.fromkeys(COUNTS, 0) | {"catalog": 30, "rejected": 30, "decoded": 30}
    counters = {"extract": {"tracks_read": 30, "tracks_rejected": 30}}
    run = dataclasses.replace(run_of(), counts=counts, measured={**run_of().measured, "counters": counters})
    summary, texts = page_of(run)
    work = summary["work"]
    assert (work["extracted"], work["rejected"], work["same_bytes"]) == (0, 30, 0)
    assert work["decoded_tracks_per_core_hour"] is None and work["catalog_tracks_per_core_hour"] is None
    assert {"0 extracted, 0 from part files", "1 core-hours"} <= set(texts) and "per core-hour" not in " ".join(texts)


def test_files_with_the_same_bytes_are_told_apart() -> None:
    counters = {"extract": {"tracks_read": 5, "tracks_rejected": 1, "tracks_same_bytes": 2}}
    summary, texts = page_of(dataclasses.replace(run_of(), measured={**run_of().measured, "counters": counters}))
    assert (summary["work"]["extracted"], summary["work"]["same_bytes"]) == (2, 2)
    assert "unchanged since the last snapshot, 2 of them read: another time or name, the same bytes" in texts


@pytest.mark.parametrize(("tags", "shown"), [({}, 2), ({"none": [0, 0]}, 2), ({"gone": [3, 0], "none": [0, 0]}, 3)])
def test_tags_that_no_track_has_are_left_out(tags: dict[str, list[int]], shown: int) -> None:
    base = run_of()
    further = {
        tag: {"positives": both, "tracks": [9, 9], "stability_index": None, "unchanged": {}}
        for tag, both in tags.items()
    }
    run = dataclasses.replace(base, evidence={"drift": {**base.evidence["drift"], **further}})
    summary, texts = page_of(run)
    assert len(summary["prevalence"]) == 2 + len(tags), "the summary has them"
    assert texts.count("0.000%") == (1 if "gone" in tags else 0)
    assert ("1 tag: no track in either. They are left out." in texts) == ("none" in tags)
    assert sum(text in {"x0", "x1", "gone", "none"} for text in texts) >= shown and "none" not in texts


def test_the_size_of_a_page_does_not_grow_with_the_taxonomy() -> None:
    few, many = (run_page(summary_of(tags=count)) for count in (MOST_TABLE_TAGS, 20 * MOST_TABLE_TAGS))
    assert many.count("<circle") == 2 * MOST_DOTS and len(many) < len(few) + 20_000
    assert f"The {MOST_DOTS} of {20 * MOST_TABLE_TAGS} tags that changed most." in many


def test_a_summary_has_what_the_manifest_has() -> None:
    summary, run = summary_of(), run_of()
    manifest = run.to_json()
    same = ("run_id", "parent", "content_hash", "ids", "counts", "reasons", "changes", "plan", "gates", "measured")
    assert {name: summary["run"][name] for name in same} == {name: manifest[name] for name in same}
    assert summary["run"]["tables"] == {"ledger": {"files": 1, "rows": 8, "bytes": 4_000_000}}
    assert summary["stages"][0] == {"stage": "plan", "core_seconds": 720.0, "planned_core_seconds": 700.0}
    assert summary["work"]["catalog_tracks_per_core_hour"] == 8 and summary["work"]["read_bytes"] == 9_000_000
    assert summary["prevalence"]["x0"] == {"positives": [10, 30], "tracks": [100, 120], "stability_index": 0.125}


def test_a_run_of_an_earlier_version_has_a_page() -> None:
    old = dataclasses.replace(run_of(), plan={}, measured={}, gates={}, evidence={}, changes={}, overrides=())
    summary = run_summary({"table": "t"}, RunEnd(status=PUBLISHED, when=WHEN, snapshot=1), [], run=old)
    texts = PageOutline(run_page(summary)).texts
    assert {"The run has no plan.", "No gate was measured.", "silent: 1"} <= set(texts)
    assert summary["work"]["core_hours"] is None and summary["work"]["money"] is None


def test_a_job_whose_run_was_not_written_shows_its_counts() -> None:
    end = RunEnd(status=BLOCKED, when=WHEN, exit_code=3, cause="gate counted")
    receipt = Receipt(run_id=None, counts={"catalog": 7_654, "tagged": 321}, plan=run_of().plan, refused="gate counted")
    summary = run_summary({"table": "t"}, end, [], receipt=receipt)
    assert summary["launch"]["counts"] == receipt.counts and summary["run"] is None
    assert {"7,654", "321", "remembered as rejected"} <= set(PageOutline(run_page(summary)).texts)
