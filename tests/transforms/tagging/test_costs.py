"""What a track cost in earlier runs, and what a run is expected to cost."""

import dataclasses
from collections import Counter
from pathlib import Path

import pytest

from pipelines.reports.plan_outcome import outcome_lines
from transforms.formats.sealing import sealed_bytes
from transforms.table.layout import snapshot_path
from transforms.table.snapshots import DataFile, Ids, Run, Snapshot
from transforms.tagging import costs
from transforms.tagging.costs import UnitCosts, costs_of_history, estimated
from transforms.tagging.forecast import Forecast

IDS = Ids(feature_id="fs-1", embedding_id="em-1", tagger_id="tg-1", taxonomy_id="tx-1")
TABLE_BYTES = {"tracks": 100, "track_tags": 700, "embeddings": 150, "ledger": 50}


def write(root: Path, number: int, tracks: int = 10, scale: float = 1.0, **changes) -> None:
    """A snapshot whose run spent (1, 2, 3, 4, 5) x scale core-seconds a track in its stages."""
    measured = {
        "core_seconds": {stage: tracks * scale * n for n, stage in enumerate(costs.STAGES, 1)},
        "counters": {
            "extract": {"tracks_read": tracks},
            "embed": {"tracks": tracks},
            "assemble": {"tracks_catalog": tracks},
        },
        "distributions": {"extract": {"source_bytes": {"count": tracks, "sum": 1000 * tracks}}},
    }
    files = tuple(
        DataFile(table=name, path=f"data/{name}", bucket=0, rows=10, bytes=size, sha256="", content="")
        for name, size in TABLE_BYTES.items()
    )
    counts = {"catalog": 10, "tagged": 8, "carried": 2, "rejected": 0, "unavailable": 0, "decoded": 0, "reused": 0}
    run = Run(
        run_id="run-1", parent=None, ids=IDS, counts=counts, reasons={}, options={}, files=files, measured=measured
    )
    run = dataclasses.replace(run, **changes)
    snapshot = Snapshot(number=number, created="2026-01-01T00:00:00+00:00", run=run)
    path = root / snapshot_path(number)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(sealed_bytes(snapshot.to_json()))


def seconds(found: UnitCosts) -> list[float | None]:
    return [found.core_seconds.get(stage) for stage in costs.STAGES]


def test_costs_of_one_run(tmp_path: Path) -> None:
    write(tmp_path, 1)
    found = costs_of_history(str(tmp_path), [1], IDS)
    assert seconds(found) == pytest.approx([1, 2, 3, 4, 5])
    assert (found.source_bytes, found.table_bytes, found.part_bytes) == (1000, 100, 20)
    assert found.snapshots == (1,)


def test_runs_are_weighted_by_their_tracks_until_there_are_enough(tmp_path: Path) -> None:
    write(tmp_path, 1, tracks=5000, scale=100)
    write(tmp_path, 2, tracks=900, scale=1)
    write(tmp_path, 3, tracks=100, scale=2)
    found = costs_of_history(str(tmp_path), [1, 2, 3], IDS)
    assert seconds(found) == pytest.approx([1.1, 2.2, 3.3, 4.4, 5.5]) and found.snapshots == (2, 3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"feature_id": "fs-2", "embedding_id": "em-2"}, [1, 2, None, None, 5]),
        ({"embedding_id": "em-2"}, [1, 2, 3, None, 5]),
        ({"tagger_id": "tg-2", "taxonomy_id": "tx-2"}, [1, 2, 3, 4, 5]),
    ],
)
def test_other_features_and_trunks_cost_otherwise(tmp_path: Path, changes, expected) -> None:
    write(tmp_path, 1)
    assert seconds(costs_of_history(str(tmp_path), [1], dataclasses.replace(IDS, **changes))) == expected


def test_rollbacks_runs_without_measurements_and_lost_snapshots_tell_nothing(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2, scale=9, rolled_back_to=1)
    write(tmp_path, 3, measured={})
    (tmp_path / snapshot_path(4)).write_text("{")
    found = costs_of_history(str(tmp_path), [1, 2, 3, 4, 5], IDS)
    assert seconds(found) == pytest.approx([1, 2, 3, 4, 5]) and found.snapshots == (1, 3)


def test_a_table_without_snapshots_has_no_costs(tmp_path: Path) -> None:
    assert costs_of_history(str(tmp_path), [], IDS) == UnitCosts()


FORECAST = Forecast(causes=Counter(new=6, unchanged=4), actions=Counter(extract=5, reuse=1, carry=3, remember=1))
UNITS = UnitCosts(
    core_seconds={"plan": 0.5, "read": 1, "extract": 2, "embed": 3, "assemble": 4},
    source_bytes=100,
    table_bytes=7,
    part_bytes=11,
)


def test_an_estimate_multiplies_by_the_tracks_of_each_stage() -> None:
    found = estimated(FORECAST, UNITS, bundles=2)
    assert found.core_seconds == {"plan": 5, "read": 5, "extract": 10, "embed": 30, "assemble": 40}
    assert (found.read_bytes, found.table_bytes, found.part_bytes) == (500, 35, 110)
    assert found.unknown == () and found.core_hours == 90 / 3600


def test_known_sizes_are_taken_before_the_mean() -> None:
    sized = dataclasses.replace(FORECAST, sized=4, read_bytes=999)
    assert estimated(sized, UNITS).read_bytes == 1099
    assert estimated(dataclasses.replace(sized, sized=5), UnitCosts()).read_bytes == 999


def test_what_is_unknown_is_not_guessed() -> None:
    found = estimated(FORECAST, UnitCosts(core_seconds={"plan": 1, "read": 1, "assemble": 1}))
    assert found.unknown == ("extract", "embed")
    assert (found.core_hours, found.read_bytes, found.table_bytes, found.part_bytes) == (None, None, None, None)
    idle = Forecast(causes=Counter(unchanged=4), actions=Counter(carry=4))
    assert estimated(idle, UnitCosts(core_seconds={"plan": 1, "assemble": 1})).core_hours == 8 / 3600


def test_a_sample_gives_times_and_missing_sizes() -> None:
    sample = UnitCosts(core_seconds={"extract": 9}, source_bytes=1, table_bytes=2, part_bytes=3, sampled=50)
    found = dataclasses.replace(UNITS, table_bytes=None, snapshots=(4,)).with_sample(sample)
    assert found.core_seconds == {**UNITS.core_seconds, "extract": 9}
    assert (found.source_bytes, found.table_bytes, found.part_bytes) == (100, 2, 11)
    assert (found.snapshots, found.sampled) == ((4,), 50)


def test_an_outcome_that_differs_from_the_plan_is_told() -> None:
    counts = {"new": 1, "removed": 0, "extract": 5, "reuse": 2, "carry": 3, "remember": 1}
    plan = {
        "expected": {**counts, "core_seconds": {"extract": 60}},
        "happened": {**counts, "extract": 6, "reuse": 1, "core_seconds": {"extract": 90}, "wall_seconds": 3700},
    }
    assert list(outcome_lines(plan)) == [
        "planned: new 1, removed 0, extracted 5, reused 2, carried 3, remembered as rejected 1; "
        "but extracted 6 instead of 5, reused 1 instead of 2",
        "processor time: 1 min 30 s, planned 1 min 0 s; wall time: 1 h 1 min",
    ]
    assert list(outcome_lines({})) == []
