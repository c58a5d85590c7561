"""Which tracks are decoded for their parameters, and what their rows have: plan, assembly and commit of production."""

import dataclasses

import numpy as np
import pytest

from pipelines.planning.budget import choice_of_run, with_choice
from tests.support.published import fake_bundle
from tests.support.simulated import SimulatedTable, tempo_of
from transforms.schemas.parameters import PARAMETERS_ID
from transforms.table.reader import open_snapshot
from transforms.tagging.choice import Budget
from transforms.tagging.costs import UnitCosts
from transforms.tagging.forecast import Forecast

TRACKS = {f"t{number}": "1" for number in range(9)}
OLD, NEW = "pa-old", "pa-new"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return fake_bundle(tmp_path_factory.mktemp("bundle") / "b").url


def good(source):
    return None


def tempi(table):
    """track_id -> (tempo, id of the parameters); None for a table without such columns."""
    rows = open_snapshot(table.root).scan("tracks")
    if PARAMETERS_ID not in rows.column_names:
        return None
    return dict(zip(rows["track_id"].to_pylist(), rows.select(["tempo_bpm", PARAMETERS_ID]).to_pylist(), strict=True))


def measured(tracks, parameters_id):
    return {t: {"tempo_bpm": tempo_of(t, parameters_id), PARAMETERS_ID: parameters_id} for t in tracks}


NOTHING = {"tempo_bpm": None, PARAMETERS_ID: None}


def night(table, bundle, catalog=TRACKS, outcome=good, **named):
    """Runs and publishes; the forecast and the run."""
    stages = table.stages(catalog, bundle, **named)
    forecast = table.plan(stages).forecast
    return forecast, table.run(stages, outcome)


def content(table):
    return open_snapshot(table.root).manifest.run.content_hash


def test_a_table_without_parameters_has_none_of_their_columns(tmp_path, bundle):
    table = SimulatedTable(tmp_path)
    night(table, bundle)
    assert tempi(table) is None


def test_after_an_upgrade_only_new_and_changed_tracks_get_parameters(tmp_path, bundle):
    table = SimulatedTable(tmp_path)
    night(table, bundle)
    forecast, run = night(table, bundle, {**TRACKS, "t0": "2", "new": "1"}, parameters_id=NEW)
    assert (forecast.actions["extract"], forecast.causes["parameters"], forecast.unmeasured) == (2, 0, 8)
    assert run.counts["tagged"] == 2 and run.counts["carried"] == 8
    assert tempi(table) == dict.fromkeys(TRACKS, NOTHING) | measured(["t0", "new"], NEW)
    forecast, _ = night(table, bundle, {**TRACKS, "t0": "2", "new": "1"}, parameters_id=NEW)
    assert forecast.actions["extract"] == 0 and tempi(table)["new"] == measured(["new"], NEW)["new"]


def test_parameters_that_are_due_are_measured_and_embeddings_stay(tmp_path, bundle):
    table, fresh = SimulatedTable(tmp_path), SimulatedTable(tmp_path)
    fresh.root = str(tmp_path / "fresh")
    night(table, bundle, outcome=lambda source: "silent" if source.track_id == "t3" else None)
    before = open_snapshot(table.root).scan("embeddings")
    forecast, run = night(table, bundle, parameters_id=NEW, parameters_due=True)
    assert (forecast.causes["parameters"], forecast.actions["extract"], forecast.kept_embedding) == (8, 8, 8)
    assert run.counts["carried"] == 8 and run.counts["decoded"] == run.counts["reused"] == 0
    expected, happened = run.plan["expected"], run.plan["happened"]
    assert [expected[name] for name in ("extract", "carry", "remember")] == [8, 0, 1]
    assert [happened[name] for name in ("extract", "carry", "remember", "reuse")] == [8, 0, 1, 0]
    assert open_snapshot(table.root).scan("embeddings").equals(before)
    assert tempi(table) == measured([t for t in TRACKS if t != "t3"], NEW)
    night(fresh, bundle, outcome=lambda source: "silent" if source.track_id == "t3" else None, parameters_id=NEW)
    assert content(fresh) == content(table)
    forecast, _ = night(table, bundle, parameters_id=NEW, parameters_due=True)
    assert forecast.causes["unchanged"] == 8 and forecast.actions["extract"] == forecast.unmeasured == 0


def test_a_new_version_is_measured_over_the_old_one(tmp_path, bundle):
    table = SimulatedTable(tmp_path)
    night(table, bundle, parameters_id=OLD, parameters_due=True)
    night(table, bundle, {**TRACKS, "new": "1"}, parameters_id=NEW)
    assert tempi(table) == measured(TRACKS, OLD) | measured(["new"], NEW)
    forecast, _ = night(table, bundle, {**TRACKS, "new": "1"}, parameters_id=NEW, parameters_due=True)
    assert forecast.causes["parameters"] == 9 and tempi(table) == measured([*TRACKS, "new"], NEW)


def test_rows_keep_their_parameters_in_a_run_that_measures_none(tmp_path, bundle):
    table = SimulatedTable(tmp_path)
    night(table, bundle, parameters_id=OLD, parameters_due=True)
    forecast, _ = night(table, bundle, {**TRACKS, "new": "1"})
    assert forecast.unmeasured == 0 and tempi(table) == measured(TRACKS, OLD) | {"new": NOTHING}


def test_a_track_that_cannot_be_measured_keeps_its_tags_and_is_due_again(tmp_path, bundle):
    table = SimulatedTable(tmp_path)
    night(table, bundle)
    _, run = night(
        table,
        bundle,
        outcome=lambda source: "unavailable" if source.track_id in ("t1", "t2") else None,
        parameters_id=NEW,
        parameters_due=True,
    )
    assert (run.counts["carried"], run.counts["rejected"], run.counts["reused"]) == (9, 0, 0)
    assert tempi(table) == measured(TRACKS, NEW) | dict.fromkeys(("t1", "t2"), NOTHING)
    forecast, _ = night(table, bundle, parameters_id=NEW, parameters_due=True)
    assert forecast.actions["extract"] == 2 and tempi(table) == measured(TRACKS, NEW)


def test_a_changed_source_is_embedded_anew_and_one_with_the_same_bytes_is_measured(tmp_path, bundle):
    table = SimulatedTable(tmp_path)
    night(table, bundle)
    _, run = night(table, bundle, {**TRACKS, "t0": "2"}, parameters_id=NEW, parameters_due=True)
    assert run.counts["tagged"] == 1 and run.counts["carried"] == 8 and tempi(table) == measured(TRACKS, NEW)


@pytest.mark.parametrize("due", [False, True])
def test_a_killed_run_is_resumed_with_its_parameters(tmp_path, bundle, due):
    table, whole = SimulatedTable(tmp_path), SimulatedTable(tmp_path)
    whole.root = str(tmp_path / "whole")
    for one in (table, whole):
        night(one, bundle)
    catalog, named = {**TRACKS, **{f"n{i}": "1" for i in range(5)}}, {"parameters_id": NEW, "parameters_due": due}
    assert table.run(table.stages(catalog, bundle, **named), good, killed_after=2) is None
    forecast, _ = night(table, bundle, catalog, **named)
    night(whole, bundle, catalog, **named)
    assert forecast.actions["extract"] < (14 if due else 5) and content(table) == content(whole)
    assert tempi(table)["n0"] == measured(["n0"], NEW)["n0"]


def test_a_new_table_measures_the_tracks_that_a_killed_run_has_embedded_without(tmp_path, bundle):
    table = SimulatedTable(tmp_path)
    assert table.run(table.stages(TRACKS, bundle), good, killed_after=2) is None
    forecast, run = night(table, bundle, parameters_id=NEW, parameters_due=True)
    assert forecast.actions["extract"] == 9 and run.counts["tagged"] == 9 and tempi(table) == measured(TRACKS, NEW)


@pytest.mark.long
def test_a_budget_spreads_parameters_over_nights(tmp_path, bundle):
    """A track costs a second to embed and as much to decode: four seconds measure four tracks."""
    costs = {"plan": 0.0, "read": 0.5, "extract": 0.5, "embed": 1.0, "assemble": 0.0}
    table, at_once = SimulatedTable(tmp_path), SimulatedTable(tmp_path)
    at_once.root = str(tmp_path / "at once")
    for one in (table, at_once):
        night(one, bundle)
    night(at_once, bundle, parameters_id=NEW, parameters_due=True)
    for left in (5, 1, 0):
        stages = table.stages(TRACKS, bundle, parameters_id=NEW, parameters_due=True)
        expectations = dataclasses.replace(stages.record.expectations, units=UnitCosts(core_seconds=costs))
        stages = dataclasses.replace(stages, record=dataclasses.replace(stages.record, expectations=expectations))
        made = choice_of_run(stages, Budget(max_core_hours=4 / 3600), stages.record.launch, 2)
        run = table.run(with_choice(stages, made), good)
        assert (made.facts.core_seconds_per_track, run.counts.get("postponed", 0)) == (1.0, left)
        assert (run.plan["happened"]["extract"], run.plan["happened"]["defer"]) == (
            min(4, left + 4 if left else 1),
            left,
        )
        assert sum(row[PARAMETERS_ID] is None for row in tempi(table).values()) == left and not run.is_mixed
    assert content(table) == content(at_once)


def test_a_forecast_adds_up():
    total = Forecast(unmeasured=1, kept_embedding=2)
    total.add(Forecast(unmeasured=np.int64(3), kept_embedding=4))
    assert (total.unmeasured, total.kept_embedding) == (4, 6)
