"""Gates: each judges one thing, says one thing, and is recorded whether it passed or not."""

import dataclasses
import re
from typing import Any

import pytest

from transforms.publishing.facts import RunFacts
from transforms.publishing.gates import GATES, GateLimits
from transforms.publishing.judging import gates_json, judge, refusal
from transforms.tagging.bucket_faults import FAULT_GATES

FACTS = RunFacts(
    catalog=10,
    outcomes={"tagged": 9, "rejected": 1},
    expected={"ledger": 10},
    written={"ledger": 10, "track_tags": 90},
    wrong_files=(),
    tried=10,
    rejected=1,
    unavailable=0,
    reasons={"silent": 1},
    rejects="runs/run-1.json",
    counted=10,
    before=10,
    removed=2,
)
COMPARED = {
    "tracks": [2000, 2000],
    "positives": [200, 200],
    "stability_index": 0.01,
    "unchanged": {"tracks": 2000, "positives": [200, 200], "stability_index": 0.02, "correlation": 0.9},
}
EVIDENCE = {
    "faults": dict.fromkeys(FAULT_GATES, 0),
    "offenders": {},
    "drift": {"mood/calm": COMPARED, "mood/soft": COMPARED},
    "before": {"catalog": 2000, "rejected": 100},
}
LARGE = {"catalog": 2000, "counted": 2000, "tried": 2000, "outcomes": {"tagged": 1900, "rejected": 100}}
SOURCE = {"name": "x", "rows": 100, "unknown_tag": 3, "unknown_id": 2, "invalid": 0, "repeated": 9, "used": 86}
WHOLE = dataclasses.replace(FACTS, **LARGE, rejected=100, before=2000, evidence=EVIDENCE, sources=[SOURCE])
"""A run of `tag` to which every gate but that of a rollback applies."""

PREPARE_ONLY = ("labels", "examples")
ELSEWHERE = ("rollback", "source_rows")
"""Gates of rollbacks and of runs with sources."""

EVIDENT = (*FAULT_GATES, *(gate.name for gate in GATES if gate.name.startswith("drift_")), "more_rejected")
"""Gates that need the evidence of the buckets."""

DATASET = dataclasses.replace(FACTS, labelled=10, examples=9)


def test_a_good_run_passes_and_every_value_is_recorded() -> None:
    results = judge(FACTS, GateLimits())
    assert refusal(results) is None
    recorded = gates_json(results)
    assert list(recorded) == [gate.name for gate in GATES if gate.name not in (*PREPARE_ONLY, *EVIDENT, *ELSEWHERE)]
    assert recorded["removed"] == {"value": 0.2, "limit": 0.2, "passed": True}
    assert recorded["rejected"] == {"value": 0.1, "limit": 0.1, "passed": True}
    assert recorded["unavailable"] == {"value": 0.0, "limit": 0.0005, "passed": True}


def test_a_dataset_is_judged_by_every_gate() -> None:
    found = list(gates_json(judge(DATASET, GateLimits())))
    assert found == [gate.name for gate in GATES if gate.name not in (*EVIDENT, *ELSEWHERE)]


def test_a_rollback_is_judged_by_its_files_and_not_by_ratios() -> None:
    again = dataclasses.replace(FACTS, rolled_back_to=3, restored=True, rejected=9, unavailable=9, before=None)
    results = judge(again, GateLimits())
    assert refusal(results) is None
    left = ("removed", "rejected", "unavailable", "source_rows", *PREPARE_ONLY, *EVIDENT)
    assert list(gates_json(results)) == [gate.name for gate in GATES if gate.name not in left]
    assert re.search(
        r"other files than snapshot 3", refusal(judge(dataclasses.replace(again, restored=False), GateLimits())) or ""
    )
    missing = dataclasses.replace(again, wrong_files=("a: 1 bytes",))
    assert re.search(r": a: 1 bytes: restore it from a copy, or roll back", refusal(judge(missing, GateLimits())) or "")


@pytest.mark.parametrize(
    ("name", "change", "value", "words"),
    [
        ("conservation", {"catalog": 12, "counted": 12}, 2, r"12 catalog ids, but .*tagged 9, rejected 1"),
        ("counted", {"counted": 12}, 2, r"12 rows when the job was launched, but the job read 10: .*run the job again"),
        ("empty", {"catalog": 0, "counted": 0, "outcomes": {}}, 1, r"the catalog has no tracks"),
        ("removed", {"removed": 3}, 0.3, r"3 of 10 tracks of the last snapshot .*fraction 0.2: .*--max-removed-ratio"),
        ("written", {"written": {"ledger": 8}}, 2, r"files have .*8.*counts are .*10.*again"),
        ("unknown", {"reasons": {"unknown": 1}}, 1, r"1 tracks failed for an unknown reason.*runs/run-1.json"),
        ("files", {"wrong_files": ("a: 1 bytes", "b: 2 bytes")}, 2, r": a: 1 bytes: run the job again\n  b: 2"),
        ("labels", {"labelled": 0}, 1, r"none of the 10 tracks has a tag of the taxonomy"),
        (
            "unavailable",
            {"unavailable": 1},
            0.1,
            r"1 of 10 tracks unavailable, more than the fraction 0.0005 .*silent 1",
        ),
        ("rejected", {"rejected": 2}, 0.2, r"2 of 10 tracks rejected, more than the fraction 0.1 .*--max-reject-ratio"),
        ("examples", {"examples": 0}, 1, r"no track has an example"),
    ],
)
def test_each_gate_refuses_alone(name: str, change: dict[str, Any], value: float, words: str) -> None:
    results = judge(dataclasses.replace(DATASET, **change), GateLimits())
    (failed,) = (result for result in results if result.failure is not None)
    assert (failed.name, failed.value) == (name, value)
    assert re.search(words, refusal(results) or "")


def test_all_failures_are_told_in_the_order_of_the_gates() -> None:
    results = judge(dataclasses.replace(FACTS, rejected=9, reasons={"unknown": 9}), GateLimits())
    told = [line.partition(":")[0] for line in (refusal(results) or "").splitlines()]
    assert told == ["gate unknown (value 9, limit 0)", "gate rejected (value 0.9, limit 0.1)"]
    assert [name for name, gate in gates_json(results).items() if not gate["passed"]] == ["unknown", "rejected"]


def test_runs_without_a_parent_or_of_earlier_versions_are_not_compared() -> None:
    old = dataclasses.replace(FACTS, counted=None, before=None, removed=0)
    assert {"counted", "removed"}.isdisjoint(gates_json(judge(old, GateLimits())))
    assert "removed" not in gates_json(judge(dataclasses.replace(FACTS, before=0, removed=0), GateLimits()))


def test_a_ratio_at_its_limit_passes() -> None:
    facts = dataclasses.replace(FACTS, rejected=3, outcomes={"tagged": 7, "rejected": 3})
    assert refusal(judge(facts, GateLimits(max_reject_ratio=0.3))) is None


def test_a_nightly_run_is_judged_by_every_gate_of_tag() -> None:
    results = judge(WHOLE, GateLimits())
    assert refusal(results) is None
    assert [result.name for result in results] == [
        gate.name for gate in GATES if gate.name not in (*PREPARE_ONLY, "rollback")
    ]


def _with(tag: dict[str, Any] | None = None, unchanged: dict[str, Any] | None = None) -> dict[str, Any]:
    """The evidence if one of two tags is otherwise."""
    calm = {**COMPARED, **(tag or {}), "unchanged": {**COMPARED["unchanged"], **(unchanged or {})}}
    return {**EVIDENCE, "drift": {"mood/calm": calm, "mood/soft": COMPARED}}


@pytest.mark.parametrize(
    ("name", "evidence", "value", "offender"),
    [
        (
            "drift_prevalence",
            _with({"positives": [180, 980]}),
            8.846154,
            "mood/calm: 180 of 2000 tracks, now 980",
        ),
        (
            "drift_prevalence",
            _with({"positives": [980, 180]}),
            8.846154,
            "mood/calm: 980 of 2000 tracks, now 180",
        ),
        ("drift_scores", _with({"stability_index": 0.3}), 0.3, "mood/calm: stability index 0.3, over 2000 and 2000"),
        (
            "drift_prevalence_unchanged",
            _with(unchanged={"positives": [0, 80]}),
            5.206186,
            "mood/calm: 0 of 2000 tracks",
        ),
        ("drift_scores_unchanged", _with(unchanged={"stability_index": 0.3}), 0.3, "mood/calm: stability index 0.3"),
        ("drift_order_unchanged", _with(unchanged={"correlation": -0.25}), 1.25, "mood/calm: correlation -0.25"),
        *(
            (name, {**EVIDENCE, "faults": EVIDENCE["faults"] | {name: 3}, "offenders": {name: ["one: 3"]}}, 3, "one: 3")
            for name in FAULT_GATES
        ),
        ("more_rejected", {**EVIDENCE, "before": {"catalog": 2000, "rejected": 50}}, 0.025, None),
    ],
)
def test_each_gate_on_evidence_refuses_alone_and_names_offenders(
    name: str, evidence: dict[str, Any], value: float, offender: str | None
) -> None:
    results = judge(dataclasses.replace(WHOLE, evidence=evidence), GateLimits())
    (failed,) = (result for result in results if result.failure is not None)
    assert (failed.name, failed.value) == (name, pytest.approx(value))
    assert gates_json(results)[name]["offenders"] == list(failed.offenders)
    if offender is None:
        assert failed.offenders == ()
    else:
        assert failed.offenders[0].startswith(offender) and f"\n  {offender}" in (refusal(results) or "")


@pytest.mark.parametrize(
    ("tag", "unchanged", "left"),
    [
        ({"tracks": [999, 5000], "positives": [0, 900]}, {}, {"drift_prevalence", "drift_scores"}),
        (
            {},
            {"tracks": 99, "positives": [0, 90], "correlation": -1.0},
            {gate for gate in EVIDENT if "unchanged" in gate},
        ),
        ({}, {"positives": [19, 19], "correlation": -1.0}, {"drift_order_unchanged"}),
        ({"stability_index": None}, {"stability_index": None}, {"drift_scores", "drift_scores_unchanged"}),
        ({}, {"correlation": None}, {"drift_order_unchanged"}),
    ],
)
def test_tags_with_few_tracks_or_constant_scores_do_not_drift(
    tag: dict[str, Any], unchanged: dict[str, Any], left: set[str]
) -> None:
    alone = {"mood/calm": {**COMPARED, **tag, "unchanged": {**COMPARED["unchanged"], **unchanged}}}
    results = judge(dataclasses.replace(WHOLE, evidence={**EVIDENCE, "drift": alone}), GateLimits())
    drift = {gate for gate in EVIDENT if gate.startswith("drift_")}
    assert drift - {result.name for result in results} == left and refusal(results) is None


def test_the_source_with_the_largest_share_of_lost_rows_counts() -> None:
    worse = {**SOURCE, "name": "y", "unknown_tag": 0, "unknown_id": 0, "invalid": 8}
    results = {r.name: r for r in judge(dataclasses.replace(WHOLE, sources=[SOURCE, worse]), GateLimits())}
    assert (results["source_rows"].value, results["source_rows"].limit) == (0.08, 0.05)
    assert results["source_rows"].offenders == ("y: 100 rows, 8 invalid", "x: 100 rows, 3 unknown_tag, 2 unknown_id")
    assert {r.name: r.failure for r in judge(WHOLE, GateLimits())}["source_rows"] is None
    nothing = dict.fromkeys(SOURCE, 0) | {"name": "z"}
    empty = {r.name: r.value for r in judge(dataclasses.replace(WHOLE, sources=[nothing]), GateLimits())}
    assert empty["source_rows"] == 0


def test_ten_offenders_at_most_are_told_the_worst_first() -> None:
    drift = {f"mood/m{i:02}": {**COMPARED, "stability_index": i / 10} for i in range(14)}
    results = judge(dataclasses.replace(WHOLE, evidence={**EVIDENCE, "drift": drift}), GateLimits())
    (failed,) = (result for result in results if result.failure is not None)
    assert [text[:8] for text in failed.offenders] == [f"mood/m{i:02}" for i in range(13, 3, -1)]


def test_tags_within_the_limit_are_no_offenders() -> None:
    drift = {f"mood/m{i:02}": {**COMPARED, "stability_index": i / 10} for i in range(14)}
    facts = dataclasses.replace(WHOLE, evidence={**EVIDENCE, "drift": drift})
    (failed,) = (result for result in judge(facts, GateLimits(others={"drift_scores": 1.15})) if result.failure)
    assert [text[:8] for text in failed.offenders] == ["mood/m13", "mood/m12"]


def test_an_overridden_gate_fails_and_refuses_nothing() -> None:
    facts = dataclasses.replace(FACTS, rejected=9, removed=9)
    assert re.search("gate removed .*\n?gate rejected", refusal(judge(facts, GateLimits())) or "")
    results = judge(facts, GateLimits(), ["removed", "rejected", "unknown"])
    assert refusal(results) is None
    recorded = {name: gate for name, gate in gates_json(results).items() if not gate["passed"]}
    assert {name: gate["overridden"] for name, gate in recorded.items()} == {"removed": True, "rejected": True}


@pytest.mark.parametrize("gate", [gate for gate in GATES if not gate.is_fixed], ids=lambda gate: gate.name)
def test_every_limit_that_can_be_set_is_used(gate: Any) -> None:
    field = {"rejected": "max_reject_ratio", "removed": "max_removed_ratio", "unavailable": "max_unavailable_ratio"}
    limits = GateLimits(**{field[gate.name]: 0.75}) if gate.name in field else GateLimits(others={gate.name: 0.75})
    assert gate.limit(limits) == 0.75 != gate.limit(GateLimits()) == gate.default
    assert {result.limit for result in judge(WHOLE, limits) if result.name == gate.name} == {0.75}
