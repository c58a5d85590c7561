"""Gates: each judges one thing, says one thing, and is recorded whether it passed or not."""

import dataclasses
import re
from typing import Any

import pytest

from transforms.publishing.gates import GATES, GateLimits, RunFacts, gates_json, judge, refusal

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
DATASET = dataclasses.replace(FACTS, labelled=10, examples=9)


def test_a_good_run_passes_and_every_value_is_recorded() -> None:
    results = judge(FACTS, GateLimits())
    assert refusal(results) is None
    recorded = gates_json(results)
    assert list(recorded) == [gate.name for gate in GATES if gate.name not in ("labels", "examples", "rollback")]
    assert recorded["removed"] == {"value": 0.2, "limit": 0.2, "passed": True}
    assert recorded["rejected"] == {"value": 0.1, "limit": 0.1, "passed": True}
    assert recorded["unavailable"] == {"value": 0.0, "limit": 0.0005, "passed": True}


def test_a_dataset_is_judged_by_every_gate() -> None:
    found = list(gates_json(judge(DATASET, GateLimits())))
    assert found == [gate.name for gate in GATES if gate.name != "rollback"]


def test_a_rollback_is_judged_by_its_files_and_not_by_ratios() -> None:
    again = dataclasses.replace(FACTS, rolled_back_to=3, restored=True, rejected=9, unavailable=9, before=None)
    results = judge(again, GateLimits())
    assert refusal(results) is None
    left = ("removed", "rejected", "unavailable", "labels", "examples")
    assert list(gates_json(results)) == [gate.name for gate in GATES if gate.name not in left]
    assert re.search(
        r"other files than snapshot 3", refusal(judge(dataclasses.replace(again, restored=False), GateLimits())) or ""
    )
    missing = dataclasses.replace(again, wrong_files=("a: 1 bytes",))
    assert re.search(r"^a: 1 bytes: restore it from a copy, or roll back", refusal(judge(missing, GateLimits())) or "")


@pytest.mark.parametrize(
    ("name", "change", "value", "words"),
    [
        ("conservation", {"catalog": 12, "counted": 12}, 2, r"12 catalog ids, but .*tagged 9, rejected 1"),
        ("counted", {"counted": 12}, 2, r"12 rows when the job was launched, but the job read 10: .*run the job again"),
        ("empty", {"catalog": 0, "counted": 0, "outcomes": {}}, 1, r"the catalog has no tracks"),
        ("removed", {"removed": 3}, 0.3, r"3 of 10 tracks of the last snapshot .*fraction 0.2: .*--max-removed-ratio"),
        ("written", {"written": {"ledger": 8}}, 2, r"files have .*8.*counts are .*10.*again"),
        ("unknown", {"reasons": {"unknown": 1}}, 1, r"1 tracks failed for an unknown reason.*runs/run-1.json"),
        ("files", {"wrong_files": ("a: 1 bytes", "b: 2 bytes")}, 2, r"^a: 1 bytes: run the job again"),
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


def test_the_first_of_several_failures_is_told_and_all_are_recorded() -> None:
    results = judge(dataclasses.replace(FACTS, rejected=9, reasons={"unknown": 9}), GateLimits())
    assert "9 tracks failed for an unknown reason" in (refusal(results) or "")
    assert [name for name, gate in gates_json(results).items() if not gate["passed"]] == ["unknown", "rejected"]


def test_runs_without_a_parent_or_of_earlier_versions_are_not_compared() -> None:
    old = dataclasses.replace(FACTS, counted=None, before=None, removed=0)
    assert {"counted", "removed"}.isdisjoint(gates_json(judge(old, GateLimits())))
    assert "removed" not in gates_json(judge(dataclasses.replace(FACTS, before=0, removed=0), GateLimits()))


def test_a_ratio_at_its_limit_passes() -> None:
    facts = dataclasses.replace(FACTS, rejected=3, outcomes={"tagged": 7, "rejected": 3})
    assert refusal(judge(facts, GateLimits(max_reject_ratio=0.3))) is None
