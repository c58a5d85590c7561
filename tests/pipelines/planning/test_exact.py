"""The plan of a run equals what the run does, exactly, in whatever state the table is."""

import dataclasses
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundles.fake import write_fake_bundle
from tests.support.simulated import SimulatedTable, load
from tests.support.tiny import SPEC, TAXONOMY
from transforms.audio.errors import DUE_AGAIN
from transforms.levels.writing import planned_compaction
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.forecast import ACTIONS, CAUSES
from transforms.tagging.tagger import ids_of
from transforms.taxonomy.hierarchy import Taxonomy

TRACKS = [f"t{i}" for i in range(9)]
VERSIONS = ("1", "2", "missing")
CARRIED = ("taxonomy", "heads", "unchanged")
REASONS = (None, None, "silent", "unavailable", "not_found")
FEWER = Taxonomy(categories=TAXONOMY.categories[:2])
OTHER_SPEC = dataclasses.replace(SPEC, patches_per_track=5)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The same bundle, with other heads, another taxonomy, another trunk, other features."""
    folder = tmp_path_factory.mktemp("bundles")
    made = {
        "first": (TAXONOMY, SPEC, {}),
        "heads": (TAXONOMY, SPEC, {"head_seed": 1}),
        "taxonomy": (FEWER, SPEC, {}),
        "trunk": (TAXONOMY, SPEC, {"seed": 1}),
        "features": (TAXONOMY, OTHER_SPEC, {}),
    }
    for name, (taxonomy, spec, seeds) in made.items():
        write_fake_bundle(str(folder / name), taxonomy, spec, **seeds)
    return [str(folder / name) for name in made]


@dataclasses.dataclass
class Launch:
    """One launch of `tag`: its catalog, its bundle, and what befalls its tracks and itself."""

    catalog: dict[str, str]
    model: int
    retry: bool
    top_k: int | None
    reasons: dict[str, str | None]
    killed_after: int | None


launches = st.builds(
    Launch,
    catalog=st.dictionaries(st.sampled_from(TRACKS), st.sampled_from(VERSIONS), min_size=1),
    model=st.sampled_from([0, 0, 0, 1, 2, 3, 4]),
    retry=st.sampled_from([False, False, False, True]),
    top_k=st.sampled_from([None, None, 1]),
    reasons=st.fixed_dictionaries({track: st.sampled_from(REASONS) for track in TRACKS}),
    killed_after=st.sampled_from([None, None, None, 0, 1, 2]),
)


class Memory:
    """What a person would write down: outcomes of the last snapshot and in part files, with the ids of the run."""

    def __init__(self) -> None:
        self.snapshot: dict[str, tuple[str, str | None]] = {}
        self.ids = None
        self.parts: dict[tuple[str, str, str], set[str | None]] = {}

    def decide(self, catalog: dict[str, str], ids, retry: bool) -> list[tuple[str, str]]:
        """Cause and action of each track. Part files never replace what is carried from the snapshot."""
        causes = {track: self._cause(track, version, ids, retry) for track, version in catalog.items()}
        return [self._decide(track, catalog[track], cause, ids, retry) for track, cause in causes.items()]

    def _decide(self, track: str, version: str, cause: str, ids, retry: bool) -> tuple[str, str]:
        if cause in CARRIED:
            return cause, "carry"
        if cause == "remembered":
            return cause, "remember"
        parts = self.parts.get((track, version, ids.embedding_id), set())
        return cause, "reuse" if any(self._stays(reason, version, retry) for reason in parts) else "extract"

    def _cause(self, track: str, version: str, ids, retry: bool) -> str:
        if track not in self.snapshot:
            return "new"
        before, reason = self.snapshot[track]
        if before != version:
            return "source"
        if self.ids.feature_id != ids.feature_id:
            return "features"
        if reason is not None:
            return "remembered" if self._stays(reason, version, retry) else "due"
        if self.ids.embedding_id != ids.embedding_id:
            return "trunk"
        if self.ids.taxonomy_id != ids.taxonomy_id:
            return "taxonomy"
        return "heads" if self.ids.tagger_id != ids.tagger_id else "unchanged"

    @staticmethod
    def _stays(reason: str | None, version: str, retry: bool) -> bool:
        return reason is None or not (retry or (reason in DUE_AGAIN and version != "missing"))


def check(launch: Launch, memory: Memory, table: SimulatedTable, model: str) -> None:
    """Plans, compares with what a person expects, runs, and compares with what the run did."""
    ids = ids_of(load(model))
    options = {"retry_rejects": launch.retry, "publication": PublishedRows(top_k=launch.top_k)}
    stages = table.stages(launch.catalog, model, **options)
    decided = memory.decide(launch.catalog, ids, launch.retry)
    expected = [Counter(names) for names in zip(*decided, strict=True)]
    found = table.plan(stages).forecast
    assert [+found.causes, +found.actions] == expected
    before = len(memory.snapshot)
    removed = len(memory.snapshot.keys() - launch.catalog.keys())
    assert found.removed(before) == removed

    known = stages.assemble.known
    compaction = planned_compaction(known.compaction, known.snapshot)._asdict()

    def extracted(source) -> str | None:
        reason = launch.reasons[source.track_id]
        memory.parts.setdefault((source.track_id, source.source_version, ids.embedding_id), set()).add(reason)
        return reason

    run = table.run(stages, extracted, killed_after=launch.killed_after)
    if run is None:
        return
    planned, happened = run.plan["expected"], run.plan["happened"]
    assert {name: happened[name] for name in ACTIONS} == {name: found.actions[name] for name in ACTIONS}
    assert (
        (happened["new"], happened["removed"])
        == (found.causes["new"], removed)
        == (
            run.changes["added"],
            run.changes["removed"],
        )
    )
    assert {name: planned[name] for name in ("new", "removed", *ACTIONS)} == {
        name: happened[name] for name in ("new", "removed", *ACTIONS)
    }
    assert planned["compaction"] == compaction
    assert all(happened["compaction"][name] == compaction[name] for name in ("files", "read_bytes"))
    assert set(run.plan["causes"]) <= set(CAUSES)
    assert run.counts["carried"] == found.actions["carry"] and run.counts["reused"] == found.actions["reuse"]
    memory.ids = run.ids
    memory.snapshot = _ledger(table)


def _ledger(table: SimulatedTable) -> dict[str, tuple[str, str | None]]:
    from transforms.table.reader import open_snapshot

    rows = open_snapshot(table.root).scan("ledger", ["track_id", "source_version", "reason"]).to_pylist()
    return {row["track_id"]: (row["source_version"], row["reason"]) for row in rows}


def simulate(steps: list[Launch], bundles: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table, memory = SimulatedTable(Path(folder)), Memory()
        for launch in steps:
            check(launch, memory, table, bundles[launch.model])


@settings(max_examples=10)
@given(st.lists(launches, min_size=2, max_size=4))
def test_the_plan_of_generated_nights_is_what_happens(bundles: list[str], steps: list[Launch]) -> None:
    simulate(steps, bundles)


@pytest.mark.long
@settings(max_examples=300)
@given(st.lists(launches, min_size=2, max_size=7))
def test_the_plan_of_many_generated_nights_is_what_happens(bundles: list[str], steps: list[Launch]) -> None:
    simulate(steps, bundles)


ALL = dict.fromkeys(TRACKS, "1")
GOOD = dict.fromkeys(TRACKS)
FIRST = Launch(ALL, 0, False, None, GOOD | {"t0": "silent", "t1": "unavailable"}, None)
NIGHTS = {
    "nothing": (FIRST, {"unchanged": 7, "remembered": 1, "due": 1}, {"carry": 7, "remember": 1, "extract": 1}),
    "new": (
        dataclasses.replace(FIRST, catalog=ALL | {"t9": "1"}, reasons=GOOD | {"t9": None}),
        {"unchanged": 7, "remembered": 1, "due": 1, "new": 1},
        {"carry": 7, "remember": 1, "extract": 2},
    ),
    "changed": (
        dataclasses.replace(FIRST, catalog=ALL | {"t5": "2"}),
        {"unchanged": 6, "remembered": 1, "due": 1, "source": 1},
        {"carry": 6, "remember": 1, "extract": 2},
    ),
    "removed": (dataclasses.replace(FIRST, catalog={"t4": "1", "t0": "1"}), {"unchanged": 1, "remembered": 1}, None),
    "retried": (dataclasses.replace(FIRST, retry=True), {"unchanged": 7, "due": 2}, {"carry": 7, "extract": 2}),
    "options": (
        dataclasses.replace(FIRST, top_k=1),
        {"unchanged": 7, "remembered": 1, "due": 1},
        {"carry": 7, "remember": 1, "extract": 1},
    ),
    "heads": (
        dataclasses.replace(FIRST, model=1),
        {"heads": 7, "remembered": 1, "due": 1},
        {"carry": 7, "remember": 1, "extract": 1},
    ),
    "taxonomy": (
        dataclasses.replace(FIRST, model=2),
        {"taxonomy": 7, "remembered": 1, "due": 1},
        {"carry": 7, "remember": 1, "extract": 1},
    ),
    "trunk": (
        dataclasses.replace(FIRST, model=3),
        {"trunk": 7, "remembered": 1, "due": 1},
        {"remember": 1, "extract": 8},
    ),
    "features": (dataclasses.replace(FIRST, model=4), {"features": 9}, {"extract": 9}),
}


@pytest.mark.parametrize("night", NIGHTS)
def test_each_cause_alone(bundles: list[str], tmp_path: Path, night: str) -> None:
    launch, causes, actions = NIGHTS[night]
    table, memory = SimulatedTable(tmp_path), Memory()
    check(FIRST, memory, table, bundles[0])
    stages = table.stages(launch.catalog, bundles[launch.model], retry_rejects=launch.retry)
    found = table.plan(stages).forecast
    assert +found.causes == Counter(causes)
    assert actions is None or +found.actions == Counter(actions)
    check(launch, memory, table, bundles[launch.model])


def test_a_killed_run_leaves_part_files_that_the_plan_counts(bundles: list[str], tmp_path: Path) -> None:
    table, memory = SimulatedTable(tmp_path), Memory()
    check(dataclasses.replace(FIRST, killed_after=2), memory, table, bundles[0])
    found = table.plan(table.stages(ALL, bundles[0])).forecast
    reused = sum(reason != "unavailable" for (_, _, _), reasons in memory.parts.items() for reason in reasons)
    assert +found.actions == Counter(extract=9 - reused, reuse=reused) and 0 < reused < 9
    check(FIRST, memory, table, bundles[0])


def test_a_plan_writes_nothing(bundles: list[str], tmp_path: Path) -> None:
    table = SimulatedTable(tmp_path)
    stages = table.stages(ALL, bundles[0])
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    table.plan(stages)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
