"""`publish --override`: a refused run is published, and every later snapshot says who did it and why."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.cli import main
from tests.support.nights import blank_bundle, publish_night, record_night, swapped, trained
from transforms.table.snapshots import current_snapshot, snapshot_numbers

GATE = "drift_order_unchanged"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    first = trained(blank_bundle(tmp_path_factory.mktemp("bundles") / "blank"), np.arange(400))
    return first, swapped(first, "mood/soft", "mood/happy")


@pytest.fixture
def refused(bundles, tmp_path: Path) -> tuple[str, str]:
    """A table with a run that the drift gate refuses: its root, and the run's id."""
    publish_night(tmp_path / "table", bundles[0], range(300))
    return str(tmp_path / "table"), record_night(tmp_path / "table", bundles[1], range(300)).run_id


def test_a_refusal_says_how_to_publish_and_keeps_the_work(refused, capsys: pytest.CaptureFixture[str]) -> None:
    table, run = refused
    assert main(["publish", table, run]) == 3
    error = capsys.readouterr().err
    assert f"nothing was published: {run}: gate {GATE} (value " in error and "\n  mood/" in error
    assert f"catalog-tagger publish {table} {run} --override {GATE} --reason TEXT" in error
    assert snapshot_numbers(table) == [1] and main(["publish", table, run, "--gate", f"{GATE}=2"]) == 0
    assert current_snapshot(table).run.overrides == ()


def test_an_override_is_shown_for_ever(refused, bundles, capsys: pytest.CaptureFixture[str]) -> None:
    table, run = refused
    words = ["publish", table, run, "--override", GATE, "--reason", "new labels; see token=hunter2"]
    assert main([*words, "--by", "night shift"]) == 0
    (entry,) = current_snapshot(table).run.overrides
    assert {name: entry[name] for name in ("snapshot", "run_id", "gate", "limit", "by")} == {
        "snapshot": 2,
        "run_id": run,
        "gate": GATE,
        "limit": 0.5,
        "by": "night shift",
    }
    assert entry["value"] > 0.8 and entry["reason"] == "new labels; see token=***" and entry["when"].startswith("20")
    assert current_snapshot(table).run.gates[GATE]["overridden"] is True
    assert main(words) == 0, "publishing it again changes nothing"
    assert main(["rollback", table, "1"]) == 0
    publish_night(Path(table), bundles[0], range(310))
    assert [current_snapshot(table).number, current_snapshot(table).run.overrides] == [4, (entry,)]
    for number in (1, 2, 3):
        Path(table, f"snapshots/{number:010d}.json").unlink()
    capsys.readouterr()
    assert main(["describe", table]) == 0
    assert f"snapshot 2: gate {GATE} " in (text := capsys.readouterr().out) and "by night shift at 20" in text


def test_snapshots_names_the_override_of_its_own_snapshot_only(refused, capsys: pytest.CaptureFixture[str]) -> None:
    table, run = refused
    assert main(["publish", table, run, "--override", GATE, "--reason", "swapped on purpose"]) == 0
    assert main(["rollback", table, "1"]) == 0
    capsys.readouterr()
    assert main(["snapshots", table, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["snapshots"]
    assert [[entry["reason"] for entry in facts["overrides"]] for facts in listed] == [[], ["swapped on purpose"], []]
    assert "@" in listed[1]["overrides"][0]["by"]
    assert main(["snapshots", table]) == 0
    assert f"overrode {GATE}: swapped on purpose" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--override", GATE], "--override needs --reason"),
        (["--override", GATE, "--reason", " "], "the reason of an override has 1 to 1000 characters"),
        (["--override", "driftt", "--reason", "x"], "no gate 'driftt': gates are removed, "),
        (["--override", "files", "--reason", "x"], "gate files cannot be overridden, because readers rely on it"),
        (["--override", "removed", "--override", GATE, "--reason", "x"], "gate removed does not refuse run"),
        (["--reason", "x"], "--reason explains --override"),
        (["--by", "x"], "--by explains --override"),
    ],
)
def test_overrides_are_checked(refused, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", *refused, *flags]) == 2
    assert said in capsys.readouterr().err and snapshot_numbers(refused[0]) == [1]


def test_what_is_published_is_not_overridden_later(bundles, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot = publish_night(tmp_path, bundles[0], range(50))
    assert main(["publish", str(tmp_path), snapshot.run.run_id, "--override", "removed", "--reason", "x"]) == 2
    assert "is already published as snapshot 1, where gate removed was not overridden" in capsys.readouterr().err
