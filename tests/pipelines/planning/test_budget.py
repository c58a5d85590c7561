"""`tag --max-core-hours`: which tracks a run extracts, and a new trunk over three nights."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest

from models.bundles.fake import write_fake_bundle
from pipelines.inputs.predicate import matching_tracks
from pipelines.planning.budget import choice_of_plan, choice_of_run, with_choice
from pipelines.terminal.errors import UsageError
from pipelines.waves.tagging import TagStages
from tests.support.simulated import BUCKETS, SimulatedTable, simulated_parts
from tests.support.tiny import SPEC, TAXONOMY
from transforms import storage
from transforms.schemas.tables import LEDGER
from transforms.storage.scratch import open_scratch
from transforms.table.reader import EVERY_EMBEDDING, SnapshotReader, open_snapshot
from transforms.table.snapshots import Run
from transforms.table.versions import TableError
from transforms.tagging.choice import Budget
from transforms.tagging.costs import UnitCosts
from transforms.tagging.forecast import ACTIONS, Forecast
from transforms.verification.snapshot_checks import verify

ONE_SECOND = UnitCosts(core_seconds={"plan": 0.0, "read": 0.25, "extract": 0.5, "embed": 0.25, "assemble": 0.0})
TRACKS = {f"t{i}": "1" for i in range(9)}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A bundle, one with another trunk, and one with other heads of that trunk."""
    folder = tmp_path_factory.mktemp("bundles")
    for name, seeds in {"old": {}, "new": {"seed": 1, "patch_dim": 3}, "heads": {"seed": 1, "patch_dim": 3}}.items():
        more = {"head_seed": 5} if name == "heads" else {}
        write_fake_bundle(str(folder / name), TAXONOMY, SPEC, **seeds, **more)
    return {name: str(folder / name) for name in ("old", "new", "heads")}


def tracks_a_night(count: int, first: str | None = None) -> Budget:
    return Budget(max_core_hours=count / 3600, first=first)


def priced(stages: TagStages, units: UnitCosts = ONE_SECOND) -> TagStages:
    expectations = dataclasses.replace(stages.record.expectations, units=units)
    return dataclasses.replace(stages, record=dataclasses.replace(stages.record, expectations=expectations))


def planned(table: SimulatedTable, stages: TagStages, budget: Budget) -> Forecast:
    with open_scratch() as scratch:
        return table.plan(with_choice(stages, choice_of_plan(stages, budget, scratch, ONE_SECOND, 2))).forecast


def night(table: SimulatedTable, catalog: dict[str, str], model: str, budget: Budget, outcome=lambda s: None) -> Run:
    """One run with a budget, whose plan is compared with what it does."""
    stages = priced(table.stages(catalog, model))
    expected = planned(table, stages, budget)
    stages = with_choice(stages, choice_of_run(stages, budget, stages.record.launch, 2))
    run = table.run(stages, outcome)
    assert run is not None
    happened = run.plan["happened"]
    assert {name: happened[name] for name in ACTIONS} == {name: expected.actions[name] for name in ACTIONS}
    assert {name: run.plan["expected"][name] for name in ACTIONS} == {name: happened[name] for name in ACTIONS}
    return run


def statuses(snapshot: SnapshotReader) -> dict[str, str]:
    rows = snapshot.scan("ledger", ["track_id", "status"])
    return dict(zip(rows["track_id"].to_pylist(), rows["status"].to_pylist(), strict=True))


def embeddings_of(snapshot: SnapshotReader) -> dict[str, str]:
    rows = snapshot.scan("embeddings", ["track_id", "embedding_id"], embedding_id=EVERY_EMBEDDING)
    return dict(zip(rows["track_id"].to_pylist(), rows["embedding_id"].to_pylist(), strict=True))


def problems(table: SimulatedTable) -> list[str]:
    return [problem for step in verify(open_snapshot(table.root)) for problem in step.problems]


def test_a_new_trunk_over_three_nights(bundles: dict[str, str], tmp_path: Path) -> None:
    for name in ("nights", "once"):
        (tmp_path / name).mkdir()
    table, at_once = SimulatedTable(tmp_path / "nights"), SimulatedTable(tmp_path / "once")
    table.run(table.stages(TRACKS, bundles["old"]), lambda source: None)
    old = open_snapshot(table.root)
    catalog = TRACKS | {"t9": "1"}
    for number, (moved, left) in enumerate([(4, 6), (8, 2), (10, 0)], start=2):
        run = night(table, catalog, bundles["new"], tracks_a_night(4))
        snapshot = open_snapshot(table.root)
        assert snapshot.manifest.number == number and problems(table) == []
        assert statuses(snapshot).keys() == catalog.keys()
        assert run.counts["catalog"] == run.counts["tagged"] + run.counts["carried"] + run.counts.get("deferred", 0)
        found = Counter(embeddings_of(snapshot).values())
        assert found[run.ids.embedding_id] == moved and run.counts.get("postponed", 0) == left
        kept = {track for track, own in embeddings_of(snapshot).items() if own != run.ids.embedding_id}
        for name in ("track_tags", "embeddings"):
            pair = [
                one.scan(name, track_ids=kept, embedding_id=None if name == "track_tags" else EVERY_EMBEDDING)
                for one in (old, snapshot)
            ]
            keys = [(key, "ascending") for key in ("track_id", *(["tag"] if name == "track_tags" else []))]
            assert pair[0].sort_by(keys).equals(pair[1].sort_by(keys))
        assert [one.tracks for one in run.earlier] == ([left] if left else [])
    once = at_once.run(at_once.stages(catalog, bundles["new"]), lambda source: None)
    assert run.content_hash == once.content_hash and run.embedding_ids == (run.ids.embedding_id,) and not run.is_mixed
    assert json.loads(storage.read_bytes(f"{table.root}/snapshots/{number:010d}.json"))["schema_version"] == 1
    assert json.loads(storage.read_bytes(f"{table.root}/snapshots/{number - 1:010d}.json"))["schema_version"] == 2


def test_new_tracks_wait_and_are_due_again(bundles: dict[str, str], tmp_path: Path) -> None:
    table = SimulatedTable(tmp_path)
    first = night(table, TRACKS, bundles["old"], tracks_a_night(5))
    assert (first.counts["tagged"], first.counts["deferred"], first.counts["postponed"]) == (5, 4, 4)
    assert problems(table) == [] and first.is_mixed and first.earlier == ()
    second = night(table, TRACKS, bundles["old"], tracks_a_night(3))
    assert +Counter(second.plan["causes"]) == {"deferred": 4, "unchanged": 5}
    assert (second.counts["tagged"], second.counts["carried"], second.counts["deferred"]) == (3, 5, 1)
    last = table.run(table.stages(TRACKS, bundles["old"]), lambda source: None)
    assert (last.counts["tagged"], last.counts["carried"], last.is_mixed) == (1, 8, False)


def test_changed_sources_and_rejects_keep_their_outcomes_until_they_are_reached(
    bundles: dict[str, str], tmp_path: Path
) -> None:
    table, reasons = SimulatedTable(tmp_path), {"t0": "silent", "t1": "unavailable"}
    table.run(table.stages(TRACKS, bundles["old"]), lambda source: reasons.get(source.track_id))
    changed = TRACKS | {"t2": "2", "t3": "2"}
    run = night(table, changed, bundles["old"], tracks_a_night(1, "track_id = 't3'"))
    rows = {row["track_id"]: row for row in open_snapshot(table.root).scan("ledger").to_pylist()}
    assert {track: rows[track]["source_version"] for track in ("t2", "t3")} == {"t2": "1", "t3": "2"}
    assert (rows["t1"]["status"], rows["t1"]["reason"]) == ("rejected", "unavailable")
    assert (run.counts["carried"], run.counts["tagged"], run.counts["postponed"]) == (6, 1, 2) and not run.is_mixed
    assert run.plan["happened"]["carry"] == 5 and run.plan["happened"]["remember"] == 1 and problems(table) == []
    again = table.plan(table.stages(changed, bundles["old"])).forecast
    assert +again.actions == Counter(extract=2, carry=6, remember=1)


def test_the_oldest_go_first_unless_a_condition_says_otherwise(bundles: dict[str, str], tmp_path: Path) -> None:
    table = SimulatedTable(tmp_path)
    early = dict.fromkeys(["t0", "t1", "t2"], "1")
    table.run(table.stages(early, bundles["old"]), lambda source: None)
    table.run(table.stages(TRACKS, bundles["old"]), lambda source: None)
    stages = priced(table.stages(TRACKS | {"new": "1"}, bundles["new"]))

    def chosen(budget: Budget) -> set[str]:
        with open_scratch() as scratch:
            choice = choice_of_plan(stages, budget, scratch, ONE_SECOND, 1).choice
            return {track for bucket in range(BUCKETS) for track in choice.of_bucket(bucket).to_pylist()}

    assert chosen(tracks_a_night(4)) == {"new", *early}
    assert chosen(tracks_a_night(2, "uri IN ('t7.wav', 't8.wav')")) == {"t7", "t8"}
    assert chosen(tracks_a_night(3, "track_id >= 't7' AND status = 'carried' OR track_id = 't8'")) > {"t8", "new"}
    assert chosen(tracks_a_night(99)) == {"new", *TRACKS}


CONDITIONS = {
    "no column": "lenght > 3",
    "two expressions": "true; true",
    "a query": "track_id IN (SELECT track_id FROM tracks)",
    "a change": "DROP TABLE ledger",
    "no truth": "track_id",
    "brackets": "true) OR (true",
    "a file": "track_id IN (FROM read_text('/etc/passwd'))",
}


@pytest.mark.parametrize("case", CONDITIONS)
def test_wrong_conditions_are_usage_errors_that_show_the_columns(
    bundles: dict[str, str], tmp_path: Path, case: str
) -> None:
    table = SimulatedTable(tmp_path)
    table.run(table.stages({"t0": "1"}, bundles["old"]), lambda source: None)
    with pytest.raises(UsageError) as caught:
        list(matching_tracks(open_snapshot(table.root), CONDITIONS[case]))
    assert "--first" in str(caught.value) and ", ".join(LEDGER.names) in str(caught.value)


def test_a_killed_run_finds_its_choice_again(bundles: dict[str, str], tmp_path: Path) -> None:
    """Also if costs were measured otherwise meanwhile; what it extracted is not extracted again."""
    table = SimulatedTable(tmp_path)
    table.run(table.stages(TRACKS, bundles["old"]), lambda source: None)
    budget, read = tracks_a_night(5), []

    def extracted(source) -> None:
        read.append(source.track_id)

    for units, killed in ((ONE_SECOND, 1), (UnitCosts(core_seconds=dict.fromkeys(ONE_SECOND.core_seconds, 1)), None)):
        stages = priced(table.stages(TRACKS, bundles["new"]), units)
        stages = with_choice(stages, choice_of_run(stages, budget, stages.record.launch, 2))
        run = table.run(stages, extracted, killed_after=killed)
    assert run is not None and len(read) == len(set(read)) == 5 == run.counts["tagged"]
    assert 0 < run.counts["reused"] < 5 and run.plan["budget"]["chosen"] == 5 and run.plan["budget"]["nights"] == 2


def test_a_run_without_history_measures_some_tracks_and_keeps_them(
    bundles: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, measured = SimulatedTable(tmp_path), []

    def measure(stages: TagStages, plan, keep) -> UnitCosts:
        measured.extend(source.track_id for source in plan.sample)
        keep(simulated_parts(stages.assemble.known, plan.sample, lambda source: None))
        return ONE_SECOND

    monkeypatch.setattr("pipelines.planning.budget.measured_costs", measure)
    monkeypatch.setattr("pipelines.planning.budget.MEASURED_TRACKS", 2)
    stages, budget = table.stages(TRACKS, bundles["old"]), tracks_a_night(5)
    with open_scratch() as scratch, pytest.raises(UsageError, match="no earlier run measured plan, read"):
        choice_of_plan(stages, budget, scratch, UnitCosts(), 1)
    made = choice_of_run(stages, budget, stages.record.launch, 1)
    assert (made.facts.chosen, made.facts.tracks, len(measured)) == (5, 9, 2)
    run = table.run(with_choice(stages, made), lambda source: None)
    assert run is not None and (run.counts["tagged"], run.counts["reused"], run.counts["deferred"]) == (5, 2, 4)


def test_a_budget_under_the_fixed_cost_is_a_usage_error(bundles: dict[str, str], tmp_path: Path) -> None:
    table = SimulatedTable(tmp_path)
    units = UnitCosts(core_seconds=ONE_SECOND.core_seconds | {"plan": 400.0})
    stages = priced(table.stages(TRACKS, bundles["old"]), units)
    with pytest.raises(UsageError, match=r"takes 1 core-hours, and one track 0\.000278: give more than 1"):
        choice_of_run(stages, Budget(max_core_hours=1), stages.record.launch, 1)


def test_a_mixed_snapshot_is_never_read_as_one(bundles: dict[str, str], tmp_path: Path) -> None:
    table = SimulatedTable(tmp_path)
    table.run(table.stages(TRACKS, bundles["old"]), lambda source: None)
    run = night(table, TRACKS, bundles["new"], tracks_a_night(4))
    snapshot = open_snapshot(table.root)
    new, old = run.embedding_ids
    for read in (snapshot.scan, lambda name, columns=None: list(snapshot.batches(name, columns))):
        with pytest.raises(TableError, match=f"embeddings {new} and {old}, which are not comparable: name one"):
            read("embeddings", ["embedding"])
    assert [snapshot.scan("embeddings", embedding_id=one).num_rows for one in (new, old, EVERY_EMBEDDING)] == [4, 5, 9]
    assert snapshot.scan("ledger", ["track_id"], embedding_id=new).num_rows == 4
    with pytest.raises(TableError, match="not em-other"):
        snapshot.scan("embeddings", embedding_id="em-other")
    lengths = {
        one: {len(vector) for vector in snapshot.scan("embeddings", ["embedding"], embedding_id=one)[0].to_pylist()}
        for one in (new, old)
    }
    assert all(len(found) == 1 for found in lengths.values()) and lengths[new] != lengths[old]
    assert snapshot.scan("track_tags").num_rows == 9 * len(TAXONOMY.tags)


def test_new_heads_reach_the_tracks_of_their_trunk_only(bundles: dict[str, str], tmp_path: Path) -> None:
    table = SimulatedTable(tmp_path)
    table.run(table.stages(TRACKS, bundles["old"]), lambda source: None)
    first = night(table, TRACKS, bundles["new"], tracks_a_night(4))
    second = night(table, TRACKS, bundles["heads"], tracks_a_night(2))
    assert problems(table) == [] and [one.tracks for one in second.earlier] == [3]
    assert +Counter(second.plan["causes"]) == {"heads": 4, "trunk": 5} and second.counts["tagged"] == 2
    taggers = Counter(open_snapshot(table.root).scan("tracks", ["tagger_id"])["tagger_id"].to_pylist())
    assert taggers == {second.ids.tagger_id: 6, first.earlier[0].ids.tagger_id: 3}


def test_drift_compares_only_tracks_with_new_tags(bundles: dict[str, str], tmp_path: Path) -> None:
    table = SimulatedTable(tmp_path)
    table.run(table.stages(TRACKS, bundles["old"]), lambda source: None)
    run = night(table, TRACKS, bundles["new"], tracks_a_night(4))
    assert {tuple(one["tracks"]) for one in run.evidence["drift"].values()} == {(4, 4)}
    assert {one["unchanged"]["tracks"] for one in run.evidence["drift"].values()} == {4}
