"""Any order of nights, crashes, rollbacks, gc, takedowns and jumps of the clock, against a model of what must be.

`make test` lets every deed happen, and every fault befall every deed, in two orders that a seed draws. The long test
lets Hypothesis choose what happens.
"""

import contextlib
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from pipelines.cli import main
from tests.support import nightly
from tests.support.nightly import HOWS, Killed, age, faults, tag_nightly
from tests.transforms.maintenance.test_collection import DAY
from transforms import storage
from transforms.maintenance import leases
from transforms.table.layout import snapshot_path
from transforms.table.reader import open_history, open_snapshot
from transforms.table.snapshots import listed_numbers
from transforms.verification.manifest_checks import table_problems
from transforms.verification.snapshot_checks import verify

TRACKS = [f"t{number}" for number in range(6)] + ["bad-1", "twin-1", "twin-2"]
VERSIONS = ["1", "2", None]
AGES = ["0s", "1d", "30d"]
JUMPS_DAYS = [-3, -0.02, 0.02, 2, 9]
WRITES_OF_A_NIGHT, WRITES_OF_A_CLEANING = 40, 30


class LifeOfATable(RuleBasedStateMachine):
    """The model: the tracks of each published snapshot, the catalog, and what was taken down."""

    bundle = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.table = self.folder / "table"
        self.catalog = {"t0": "1"}
        self.snapshots: dict[int, dict[str, str]] = {}
        self.gone: set[str] = set()
        self.without_lists: set[int] = set()
        self.known: dict[bytes, list[tuple[str, tuple[int, int]]]] = {}
        self.contents: dict[bytes, dict[str, str]] = {}
        self.met: set[tuple[str, str]] = set()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(nightly, "BUCKETS", 1)
        self.patch.setattr(leases, "OBSERVED_S", 0.0)
        self.patch.setattr(leases, "_POLL_S", 0.01)

    def teardown(self) -> None:
        """At the end, everything is read again."""
        try:
            self.check_everything()
        finally:
            self.patch.undo()
            shutil.rmtree(self.folder)

    def check_everything(self) -> None:
        for reader in open_history(str(self.table)) if self.snapshots else ():
            problems = [problem for step in verify(reader) for problem in step.problems]
            assert self.own_problems(reader.manifest.number, problems) == []
        assert list(table_problems(str(self.table))) == []

    @contextlib.contextmanager
    def fault(self, deed: str, at: int, how: str) -> Iterator[None]:
        """Lets one write of a deed fail, if it makes so many; a deed that is killed ends."""
        with contextlib.suppress(Killed), faults(self.patch, at, how) as state:
            try:
                yield
            finally:
                if state.count > at:
                    self.met.add((deed, how))

    def expire(self) -> None:
        """The leases of killed processes grow old."""
        age(self.table / "leases", leases.EXPIRES_S + 60)

    def newest(self) -> dict[str, str]:
        return self.snapshots[max(self.snapshots)] if self.snapshots else {}

    @rule(track=st.sampled_from(TRACKS), version=st.sampled_from(VERSIONS))
    def catalog_changes(self, track: str, version: str | None) -> None:
        if version is None:
            self.catalog.pop(track, None)
        else:
            self.catalog[track] = version
            self.gone.discard(track)
        self.fill_catalog("t0")

    def fill_catalog(self, track: str) -> None:
        """A gate refuses an empty catalog."""
        if not self.catalog:
            self.catalog[track] = "1"
            self.gone.discard(track)

    @rule()
    def night(self) -> None:
        before = self.newest()
        snapshot, decoded = tag_nightly(str(self.table), self.catalog, self.bundle)
        self.snapshots[snapshot.number] = dict(self.catalog)
        assert decoded <= {track for track, version in self.catalog.items() if before.get(track) != version}
        assert tag_nightly_decodes_nothing_of(decoded, before, self.catalog)

    @rule(at=st.integers(0, WRITES_OF_A_NIGHT), how=st.sampled_from(HOWS))
    def night_is_stopped(self, at: int, how: str) -> None:
        with contextlib.suppress(storage.Unavailable), self.fault("night", at, how):
            tag_nightly(str(self.table), self.catalog, self.bundle)
        numbers = listed_numbers(str(self.table)) if self.table.exists() else []
        if numbers and numbers[-1] > max(self.snapshots, default=0):  # it was stopped after its commit
            self.snapshots[numbers[-1]] = dict(self.catalog)
            self.without_lists.add(numbers[-1])
        self.expire()

    @precondition(lambda self: len(self.snapshots) > 1)
    @rule(back=st.integers(0, 9))
    def rollback(self, back: int) -> None:
        *earlier, newest = sorted(self.snapshots)
        number = earlier[back % len(earlier)]
        # A snapshot of which all tracks were taken down is empty: a gate refuses it, unless the newest repeats it.
        is_repeated = open_snapshot(str(self.table)).manifest.run.rolled_back_to == number
        code = main(["rollback", str(self.table), str(number)])
        assert code == (0 if self.snapshots[number] or is_repeated else 3)
        if (after := listed_numbers(str(self.table))[-1]) != newest:
            self.snapshots[after] = dict(self.snapshots[number])

    @precondition(lambda self: bool(self.snapshots))
    @rule(keep=st.integers(1, 3), older=st.sampled_from(AGES), at=st.none() | st.integers(0, WRITES_OF_A_CLEANING),
          how=st.sampled_from(HOWS))  # fmt: skip
    def gc(self, keep: int, older: str, at: int | None, how: str) -> None:
        words = ["gc", str(self.table), "--keep-last", str(keep), "--older-than", older, "--apply"]
        if at is not None:
            with self.fault("gc", at, how):
                main(words)
            left = set(listed_numbers(str(self.table)))
            assert left <= self.snapshots.keys() and set(sorted(self.snapshots)[-keep:]) <= left
            self.expire()
        assert main(words) == 0
        self.snapshots = {number: self.snapshots[number] for number in sorted(self.snapshots)[-keep:]}
        assert listed_numbers(str(self.table)) == sorted(self.snapshots)

    @precondition(lambda self: bool(self.snapshots))
    @rule(track=st.sampled_from(TRACKS), at=st.none() | st.integers(0, WRITES_OF_A_CLEANING), how=st.sampled_from(HOWS))
    def purge(self, track: str, at: int | None, how: str) -> None:
        self.catalog.pop(track, None)
        self.fill_catalog("t5" if track == "t0" else "t0")
        is_there = any(track in content for content in self.snapshots.values())
        words = ["purge", str(self.table), "--track-id", track, "--reader-grace", "0s", "--apply"]
        if at is not None:
            with self.fault("purge", at, how):
                main(words)
            for reader in open_history(str(self.table)):
                ids = set(reader.scan("ledger", ["track_id"])["track_id"].to_pylist())
                assert ids | {track} == self.snapshots[reader.manifest.number].keys() | {track}
            self.expire()
        assert main(words) in ({0} if is_there and at is None else {0, 1})  # 1: there was nothing to take out
        for content in self.snapshots.values():
            content.pop(track, None)
        self.gone.add(track)

    @rule(days=st.sampled_from(JUMPS_DAYS))
    def clock_jumps(self, days: float) -> None:
        """All files look older, or as if they came from the future."""
        if self.table.exists():
            age(self.table, days * DAY)
            self.expire()
            for path in (self.table / "leases").glob("*"):
                path.touch()
            self.expire()

    @invariant()
    def every_listed_snapshot_is_the_model_s(self) -> None:
        if self.snapshots:
            assert {number: self.content(number) for number in listed_numbers(str(self.table))} == self.snapshots

    def content(self, number: int) -> dict[str, str]:
        """The tracks of a snapshot, whose files are read again only if its record or one of them changed."""
        record = (self.table / snapshot_path(number)).read_bytes()
        paths = [path for path, _ in self.known.get(record, ())]
        if not paths or self.known[record] != self.stamps(paths):
            reader = open_snapshot(str(self.table), number)
            self.known[record] = self.stamps([file.path for file in reader.manifest.run.files])
            problems = [problem for step in verify(reader) for problem in step.problems]
            assert self.own_problems(number, problems) == []
            rows = reader.scan("ledger", ["track_id", "source_version"]).to_pylist()
            self.contents[record] = {row["track_id"]: row["source_version"] for row in rows}
        return self.contents[record]

    def own_problems(self, number: int, problems: list[str]) -> list[str]:
        """Without those of what a publisher was kept from writing after its commit; the next one writes it."""
        newest = max(self.snapshots)
        if newest not in self.without_lists:
            return problems
        following = ("manifests/", "iceberg/") if number == newest else ("iceberg/",)
        return [problem for problem in problems if not problem.startswith(following)]

    def stamps(self, paths: list[str]) -> list[tuple[str, tuple[int, int]]]:
        """Inode and size of each file; one that is missing ends the test."""
        found = [(path, (self.table / path).stat()) for path in paths]
        return [(path, (stat.st_ino, stat.st_size)) for path, stat in found]

    @invariant()
    def what_was_taken_down_is_gone(self) -> None:
        for content in self.snapshots.values():
            assert not self.gone & content.keys()


def tag_nightly_decodes_nothing_of(decoded: set[str], before: dict[str, str], catalog: dict[str, str]) -> bool:
    """Whether no track was decoded that the newest snapshot had with the same source."""
    return not decoded & {track for track, version in before.items() if catalog.get(track) == version}


def deeds(draw: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every deed with every fault, and changes of the catalog and nights between them, in an order that is drawn."""

    def removal(how: str | None) -> dict[str, Any]:
        return {"at": how and draw.randint(0, WRITES_OF_A_CLEANING // 3), "how": how}

    several: list[tuple[str, dict[str, Any]]] = [("clock_jumps", {"days": days}) for days in JUMPS_DAYS]
    several += [("night_is_stopped", {"at": draw.randint(0, WRITES_OF_A_NIGHT), "how": how}) for how in HOWS]
    for how in (None, *HOWS):
        several.append(("gc", {"keep": draw.randint(1, 3), "older": draw.choice(AGES), **removal(how)}))
        several.append(("purge", {"track": draw.choice(TRACKS), **removal(how)}))
    several += [("rollback", {"back": back}) for back in range(3)]
    several += [("night", {})] * 8
    for version in VERSIONS:
        several += [("catalog_changes", {"track": draw.choice(TRACKS), "version": version}) for _ in range(6)]
    draw.shuffle(several)
    return iter(several)


@pytest.fixture(scope="module")
def _bundle(bundle: Any) -> Iterator[None]:
    LifeOfATable.bundle = bundle
    yield
    LifeOfATable.bundle = None


@pytest.mark.usefixtures("_bundle")
@pytest.mark.parametrize(("seed", "removal"), [(1, "gc"), (4, "purge")])
def test_every_deed_in_any_order(seed: int, removal: str) -> None:
    """With these seeds, every fault befalls a night and a removal."""
    life = LifeOfATable()
    try:
        for name, words in deeds(random.Random(seed)):
            needed = {"rollback": 2, "gc": 1, "purge": 1}.get(name, 0)
            while len(life.snapshots) < needed:
                life.night()
            getattr(life, name)(**words)
            life.every_listed_snapshot_is_the_model_s()
            life.what_was_taken_down_is_gone()
        assert life.met >= {(name, how) for name in ("night", removal) for how in HOWS}
    finally:
        life.teardown()


@pytest.mark.long
@pytest.mark.usefixtures("_bundle")
def test_any_long_life() -> None:
    """10,000 steps."""
    chosen = settings(
        max_examples=200,
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],  # to shrink an example takes minutes
    )
    run_state_machine_as_test(LifeOfATable, settings=chosen)
