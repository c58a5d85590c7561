"""Drift gates: swapped heads are stopped, retrained heads, ordinary nights and small tables are not."""

from pathlib import Path

import numpy as np
import pytest

from tests.support import nights
from tests.support.nights import LABELS, TAXONOMY, blank_bundle, publish_night, record_night, swapped, track_id, trained
from transforms.publishing.audit import Refused
from transforms.publishing.commit import publish
from transforms.publishing.gates import GATES, GateLimits
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import Run, current_snapshot, snapshot_numbers
from transforms.tagging.assembly import PublishedRows

TRACKS = 2_400
ALL = ["drift_prevalence", "drift_scores", "drift_prevalence_unchanged", "drift_scores_unchanged"]
DRIFT = [*ALL, "drift_order_unchanged"]


def values(run: Run) -> dict[str, float]:
    return {name: run.gates[name]["value"] for name in DRIFT if name in run.gates}


def failed(run: Run) -> list[str]:
    return [name for name in (gate.name for gate in GATES) if name in run.gates and not run.gates[name]["passed"]]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> dict[str, object]:
    """Heads that were fitted on labelled tracks, on others, on the same in another order, on few; and swapped heads."""
    blank = blank_bundle(tmp_path_factory.mktemp("bundles") / "blank")
    first = trained(blank, np.arange(600))
    return {
        "first": first,
        "same labels": trained(blank, np.random.default_rng(1).permutation(600)),
        "other labels": trained(blank, np.arange(600, 1200)),
        "few labels": trained(blank, np.arange(150)),
        "moods swapped": swapped(first, "mood/soft", "mood/happy"),
        "genres swapped": swapped(first, "genre/g1", "genre/g2"),
        "random": blank,
    }


@pytest.fixture(scope="module")
def table(bundles, tmp_path_factory) -> Path:
    """One snapshot. Tests record runs after it, and publish none."""
    folder = tmp_path_factory.mktemp("drift") / "table"
    publish_night(folder, bundles["first"], range(TRACKS))
    return folder


def test_a_first_snapshot_has_no_drift(table: Path) -> None:
    run = current_snapshot(str(table)).run
    assert values(run) == {} and run.evidence["drift"] == {} and "more_rejected" not in run.gates


@pytest.mark.parametrize("name", ["first", "same labels", "other labels", "few labels"])
def test_a_retrained_head_passes(table: Path, bundles, name: str) -> None:
    run = record_night(table, bundles[name], range(TRACKS))
    found = values(run)
    assert failed(run) == [] and list(found) == DRIFT
    assert found["drift_order_unchanged"] < 0.1 and found["drift_scores_unchanged"] < 0.15
    assert (max(found.values()) == 1) == (name == "first")


@pytest.mark.parametrize(
    ("name", "tags"),
    [("moods swapped", {"mood/soft", "mood/happy", "mood/calm"}), ("genres swapped", {"genre/g1", "genre/g2"})],
)
def test_two_swapped_tags_are_stopped_and_named(table: Path, bundles, name: str, tags: set[str]) -> None:
    run = record_night(table, bundles[name], range(TRACKS))
    assert failed(run) == ["drift_order_unchanged"], "neither prevalence nor the shares of scores tell"
    assert run.gates["drift_order_unchanged"]["value"] > 0.8
    with pytest.raises(Refused, match=r"gate drift_order_unchanged \(value \S+, limit 0.5\)") as refused:
        publish(str(table), run, GateLimits())
    assert refused.value.gates == ("drift_order_unchanged",)
    named = [line.split(":")[0].strip() for line in str(refused.value).splitlines()[1:]]
    assert len(named) <= 10 and set(named[:2]) <= tags
    assert snapshot_numbers(str(table)) == [1]


def test_another_model_is_stopped_by_every_drift_gate(table: Path, bundles) -> None:
    assert set(DRIFT) <= set(failed(record_night(table, bundles["random"], range(TRACKS))))


def test_ordinary_nights_pass(bundles, tmp_path: Path) -> None:
    """Each night 1 % of the tracks are new, 1 % have a new source, 1 % are gone; the last one adds one genre only."""
    publish_night(tmp_path / "t", bundles["first"], range(TRACKS))
    step = TRACKS // 100
    for night in range(1, 4):
        tracks, changed = range(night * step, TRACKS + night * step), range(night * step, (night + 1) * step)
        run = publish_night(tmp_path / "t", bundles["first"], tracks, versions=dict.fromkeys(changed, "2")).run
        found = values(run)
        assert found["drift_prevalence"] < 1.2 and found["drift_scores"] < 0.01
        assert found["drift_scores_unchanged"] == 0 == found["drift_order_unchanged"]
    rare = np.flatnonzero(LABELS[:, TAXONOMY.index["genre/g4"]])
    fresh = [int(track) for track in rare if track >= TRACKS + 3 * step][:step]
    last = publish_night(tmp_path / "t", bundles["first"], [*range(3 * step, TRACKS + 3 * step), *fresh]).run
    assert 1.1 < last.gates["drift_prevalence"]["value"] < 2 and last.gates["drift_prevalence_unchanged"]["value"] == 1


@pytest.mark.parametrize(("before", "after", "judged"), [(30, 90, []), (99, 99, []), (150, 300, DRIFT[2:])])
def test_small_tables_are_not_compared(bundles, tmp_path: Path, before: int, after: int, judged: list[str]) -> None:
    publish_night(tmp_path / "t", bundles["first"], range(before))
    run = publish_night(tmp_path / "t", bundles["few labels"], range(after)).run
    assert list(values(run)) == judged


def test_a_table_that_publishes_other_rows_is_not_compared(table: Path, bundles) -> None:
    run = record_night(table, bundles["random"], range(TRACKS), publication=PublishedRows(min_score=0.2))
    assert values(run) == {} and run.evidence["drift"] == {}


def test_rows_below_the_least_score_count_as_the_lowest(bundles, tmp_path: Path) -> None:
    for fit in ("first", "same labels"):
        run = publish_night(tmp_path / "t", bundles[fit], range(300), publication=PublishedRows(min_score=0.3)).run
    assert run.evidence["drift"]["mood/rare"]["tracks"] == [300, 300] and run.gates["drift_scores_unchanged"]["passed"]


def test_counts_are_those_of_a_plain_comparison(table: Path, bundles) -> None:
    """Some tracks are gone, some new, some have a new source, some are rejected."""
    tracks, changed, lost = range(100, TRACKS + 100), range(200, 300), range(300, 350)
    run = record_night(table, bundles["few labels"], tracks, versions=dict.fromkeys(changed, "2"), rejected=lost)
    found = run.evidence["drift"]["mood/happy"]
    old, new = (_scores(bundles[name], "mood/happy") for name in ("first", "few labels"))
    before, after = np.arange(TRACKS), np.array([t for t in tracks if t not in lost])
    same = np.array([t for t in range(100, TRACKS) if t not in lost and t not in changed])
    cuts = [bundles[name].tags[TAXONOMY.index["mood/happy"]].threshold for name in ("first", "few labels")]
    assert found["tracks"] == [len(before), len(after)] and found["unchanged"]["tracks"] == len(same)
    assert found["positives"] == [(old[before] >= cuts[0]).sum(), (new[after] >= cuts[1]).sum()]
    assert found["unchanged"]["positives"] == [(old[same] >= cuts[0]).sum(), (new[same] >= cuts[1]).sum()]
    assert found["unchanged"]["correlation"] == pytest.approx(np.corrcoef(old[same], new[same])[0, 1], abs=1e-5)
    assert found["stability_index"] == pytest.approx(_stability(old[before], new[after]), abs=1e-4)


def _scores(bundle, tag: str) -> np.ndarray:
    return np.round(bundle.score(nights.EMBEDDINGS[: TRACKS + 100]), 4)[:, TAXONOMY.index[tag]]


def _stability(before: np.ndarray, after: np.ndarray) -> float:
    """By definition, in bins whose edges are those of 32 fine ones, joined to about tenths of `before`."""
    edges = np.rint(10_000 / (1 + np.exp(-np.linspace(-4, 4, 31)))) / 10_000
    old, new = (
        np.array([np.count_nonzero(np.searchsorted(edges, s, side="right") == i) for i in range(32)])
        for s in (before, after)
    )
    place = [min(int(10 * (old[:i].sum() + old[i] / 2) / old.sum()), 9) for i in range(32)]
    index = 0.0
    for part in sorted({place[i] for i in range(32) if old[i] or new[i]}):
        chosen = [i for i in range(32) if place[i] == part]
        p, q = (max(counts[chosen].sum() / counts.sum(), 0.5 / min(old.sum(), new.sum())) for counts in (old, new))
        index += (q - p) * np.log(q / p)
    return index


def test_the_order_of_buckets_changes_nothing(table: Path, bundles, monkeypatch: pytest.MonkeyPatch) -> None:
    first = record_night(table, bundles["few labels"], range(500, 2_000), rejected=range(600, 640))
    monkeypatch.setattr(nights, "add_evidence", lambda found: sum(reversed(found[1:]), start=found[0]))
    (table / "runs" / f"{first.run_id}.json").unlink()
    again = record_night(table, bundles["few labels"], range(500, 2_000), rejected=range(600, 640))
    assert (again.evidence, again.gates) == (first.evidence, first.gates)


def test_buckets_that_the_catalog_lost_are_compared_too(table: Path, bundles) -> None:
    own = [t for t in range(TRACKS) if nights.group_numbers([track_id(t)], nights.BUCKETS)[0] == 1]
    run = record_night(table, bundles["first"], own)
    assert run.evidence["drift"]["mood/soft"]["tracks"] == [TRACKS, len(own)]
    assert run.evidence["offenders"]["removed"] == [track_id(t) for t in range(TRACKS) if t not in set(own)][:10]
    assert failed(run) == ["removed"]


def test_a_growing_share_of_rejects_is_stopped(table: Path, bundles) -> None:
    run = record_night(table, bundles["first"], range(TRACKS), rejected=range(TRACKS // 40))
    assert failed(run) == ["more_rejected"]
    assert run.gates["more_rejected"]["value"] == pytest.approx(1 / 40)
    assert run.gates["more_rejected"]["offenders"] == [f"{track_id(t)}: silent" for t in range(10)]
    assert failed(record_night(table, bundles["first"], range(TRACKS), rejected=range(TRACKS // 60))) == []


def test_drift_follows_the_tags_that_both_snapshots_have(table: Path, bundles) -> None:
    before = open_snapshot(str(table)).scan("taxonomy", ["tag"])["tag"].to_pylist()
    run = record_night(table, bundles["same labels"], range(TRACKS))
    assert sorted(run.evidence["drift"]) == sorted(before)
