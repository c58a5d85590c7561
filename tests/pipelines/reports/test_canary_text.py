"""What `tag --sample` says: that nothing is published, and which gates were not measured."""

import pytest

from models.bundles.tagger_bundle import load_bundle
from pipelines.planning.canary import compared_sample
from pipelines.reports.canary_answer import _lines
from pipelines.reports.plan_outcome import outcome_lines
from pipelines.reports.rejects import without_tracks
from tests.support.published import fake_bundle, publish_table
from transforms.comparison.report import to_text
from transforms.publishing.gates import GATE_BY_NAME
from transforms.publishing.judging import GateResult, refusal, unmeasured
from transforms.table.reader import SnapshotReader, open_snapshot

MEASURED = ("conservation", "rejected")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """A snapshot compared with a run that has no time of publication."""
    folder = tmp_path_factory.mktemp("canary")
    publish_table(folder / "table", load_bundle(fake_bundle(folder / "bundle").url), 4)
    published = open_snapshot(str(folder / "table"))
    run = SnapshotReader(root=published.root, manifest=_unpublished(published.manifest), buckets=published.buckets)
    return compared_sample(published, run)


def _unpublished(manifest):
    import dataclasses

    return dataclasses.replace(manifest, number=2, created="")


def document(comparison: dict | None) -> dict:
    gates = {name: {"value": 0, "limit": 0.1, "passed": True} for name in MEASURED}
    counts = {"catalog": 6, "tagged": 4, "carried": 0, "rejected": 2}
    return {
        "counts": counts,
        "plan": {},
        "same_bytes": 0,
        "comparison": comparison,
        "gates": gates,
        "not_measured": unmeasured(MEASURED),
        "report": None,
    }


def test_a_sample_is_not_called_a_snapshot(comparison: dict) -> None:
    assert (comparison["after"]["snapshot"], comparison["after"]["created"]) == (None, None)
    text = to_text(comparison)
    assert text.startswith("# Snapshot 1 and a sample\n")
    assert "- after: sample of 6 tracks, not published\n" in text and "snapshot 2" not in text
    assert "- before: snapshot 1, 20" in text
    lines = list(_lines(document(comparison)))
    assert lines[0] == "sample of 6 tracks, not published: 4 tagged, 0 carried, 2 rejected"


def test_gates_that_were_not_measured_are_named_with_what_they_need() -> None:
    lines = list(_lines(document(None)))
    missing = [name for name, gate in GATE_BY_NAME.items() if gate.needs]
    assert len(missing) == 7 and "drift_order_unchanged" in missing
    assert "gates: 2 passed; 7 not measured" in lines
    needs = "1,000 tagged tracks in the last snapshot and in the run"
    assert f"  drift_scores: not measured: it needs {needs}" in lines
    needs = "100 tagged tracks whose source has not changed since the last snapshot, 20 of them with the tag"
    assert f"  drift_order_unchanged: not measured: it needs {needs}" in lines
    assert "drift_scores" not in unmeasured(["drift_scores"])


def test_tracks_of_a_refusal_are_left_to_the_list_of_rejects() -> None:
    one = GateResult(name="rejected", value=1, limit=0, failure="too many", offenders=("a: silent", "b: silent"))
    two = GateResult(name="drift_scores", value=1, limit=0, failure="drifted", offenders=("mood/a: 1",))
    text = refusal([one, two]) or ""
    assert text.count("silent") == 2
    assert without_tracks(text, [one, two]).split("\n") == [
        "gate rejected (value 1, limit 0): too many",
        "gate drift_scores (value 1, limit 0): drifted",
        "  mood/a: 1",
    ]


def test_a_touched_file_is_explained() -> None:
    planned = {"new": 0, "removed": 0, "extract": 2, "reuse": 0, "carry": 109, "remember": 0}
    plan = {
        "expected": {**planned, "core_seconds": {}},
        "happened": {**planned, "extract": 1, "carry": 110, "core_seconds": {"read": 1}},
    }
    first, second = outcome_lines(plan, same_bytes=1)
    assert first.endswith("but extracted 1 instead of 2, carried 110 instead of 109")
    said = "1 file of those to be extracted had another time or name and the same bytes: read, not decoded, and carried"
    assert second == said and list(outcome_lines(plan)) == [first]
