"""`gc` and `purge` that stop at any write: readers see whole snapshots only, and the next execution completes all.

Each write is a fail point. In `make test`, the first write of each sort fails once, in one way; the long test lets
every write fail in every way.
"""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.support.nightly import HOWS, Faults, Killed, age, faults, nightly_bundle, tag_nightly
from tests.transforms.maintenance.test_collection import DAY, parts_of
from tests.transforms.maintenance.test_takedown import texts_of
from transforms import storage
from transforms.maintenance.kinds import kind_of_path
from transforms.maintenance.leases import EXPIRES_S
from transforms.publishing.manifest_checks import table_problems
from transforms.publishing.verification import verify
from transforms.table.reader import open_history

LAST = {"a": "1", "b": "2", "bad-c": "1", "twin-1": "1", "twin-2": "1", "e": "1"}
GONE = "twin-1"


class Scene:
    """A table before a job, and what must hold after it was stopped."""

    def __init__(self, folder: Path) -> None:
        self.bundle = nightly_bundle(folder / "bundle")
        other = nightly_bundle(folder / "other", seed=1)
        self.table = folder / "table"
        root = str(self.table)
        nights = [{"a": "1", "bad-c": "1", "twin-1": "1"}, {"a": "1", "b": "1", "twin-1": "1", "twin-2": "1"}, LAST]
        for catalog in nights:
            tag_nightly(root, catalog, self.bundle)
        assert main(["rollback", root, "2"]) == 0
        tag_nightly(root, LAST, self.bundle)
        age(self.table, 30 * DAY)
        assert main(["gc", root, "--keep-last", "4", "--apply"]) == 0  # its files go in the next execution
        age(self.table, 30 * DAY)
        parts_of(self.table, {**LAST, "a": "0", "b": "0"}, other)
        (self.table / "data" / ".partial-0123456789abcdef").write_bytes(b"unfinished")
        (self.table / "launches" / "launch-0000000001-000009.begun").write_bytes(b"")
        (self.table / "mine.txt").write_text("mine")
        age(self.table / "data", 30 * DAY)
        age(self.table / "launches", 30 * DAY)
        self.rows = {one.manifest.number: self.ids(one) for one in open_history(root)}

    @staticmethod
    def ids(reader) -> set[str]:
        return set(reader.scan("ledger", ["track_id"])["track_id"].to_pylist())

    def check_readers(self, table: Path, gone: frozenset[str]) -> None:
        """Every listed snapshot is whole: its rows are those that it had, or those without the purged tracks."""
        found = {}
        for reader in open_history(str(table)):
            problems = [problem for step in verify(reader) for problem in step.problems]
            assert [one for one in problems if not one.startswith(("manifests/", "iceberg/"))] == []
            found[reader.manifest.number] = self.ids(reader)
        assert max(found) == max(self.rows)
        for number, ids in found.items():
            assert ids in (self.rows[number], self.rows[number] - gone)

    def check_end(self, table: Path, gone: frozenset[str]) -> None:
        assert (table / "mine.txt").exists() and not list((table / "leases").iterdir())
        for reader in open_history(str(table)):
            assert [problem for step in verify(reader) for problem in step.problems] == []
        assert list(table_problems(str(table))) == []
        left = {track: version for track, version in LAST.items() if track not in gone}
        assert tag_nightly(str(table), left, self.bundle)[1] == set()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return Scene(tmp_path_factory.mktemp("scene"))


JOBS: dict[str, tuple[list[str], frozenset[str]]] = {
    "gc": (["--keep-last", "2", "--apply"], frozenset()),
    "purge": (["--track-id", GONE, "--apply", "--reader-grace", "0s"], frozenset({GONE})),
}


def attempt(job: str, table: Path) -> int | None:
    """Exit code; None if the job was killed."""
    try:
        return main([job, str(table), *JOBS[job][0]])
    except Killed:
        return None


def points(job: str, table: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The sort of each write of the job: the function, and the kind of the file."""
    sorts, write = [], Faults.around

    def listening(state: Faults, function: Callable[..., None]) -> Callable[..., None]:
        around = write(state, function)

        def writes(url: str, *words: bytes, **named: str) -> None:
            sorts.append((function.__name__, kind_of_path(url.removeprefix(f"{table}/")) or url.rpartition("/")[2][:9]))
            around(url, *words, **named)

        return writes

    with monkeypatch.context() as patch:
        patch.setattr(Faults, "around", listening)
        with faults(monkeypatch, -1, "none"):
            assert attempt(job, table) == 0
    return sorts


def check_stop(job: str, scene: Scene, table: Path, at: int, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, gone = JOBS[job]
    with faults(monkeypatch, at, how) as state:
        code = attempt(job, table)
    assert state.count > at and (code is None) == how.startswith("kill"), (at, how)
    scene.check_readers(table, gone)
    age(table / "leases", EXPIRES_S + 60)
    assert attempt(job, table) == 0, (at, how)
    scene.check_end(table, gone)
    if job == "purge":
        assert GONE not in texts_of(table)
    shutil.rmtree(table)


@pytest.mark.parametrize("job", JOBS)
def test_each_sort_of_write_fails_once(job, scene, copied, monkeypatch):
    sorts = points(job, copied(scene.table, "listened"), monkeypatch)
    first = sorted({sort: at for at, sort in reversed(list(enumerate(sorts)))}.items(), key=lambda item: item[1])
    wanted = {
        "gc": {"leases", "log", "retired", "snapshots", "runs", "launches", "data", "parts", "lists"}
        | {".partial-", "iceberg"},
        "purge": {"leases", "log", "data", "snapshots", "runs", "lists", "hints", "parts", ".partial-", "iceberg"},
    }
    assert {kind for (_, kind), _ in first} == wanted[job]
    for turn, (_, at) in enumerate(first):
        check_stop(job, scene, copied(scene.table, f"stop-{at}"), at, HOWS[turn % len(HOWS)], monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("job", JOBS)
def test_every_write_fails_in_every_way(job, how, scene, copied, monkeypatch):
    count = len(points(job, copied(scene.table, "listened"), monkeypatch))
    for at in range(count):
        check_stop(job, scene, copied(scene.table, f"stop-{at}"), at, how, monkeypatch)


def test_a_storage_that_is_down_is_one_line(scene, copied, monkeypatch, capsys):
    table = copied(scene.table, "down")
    for at in itertools.islice(itertools.count(3), 2):
        with faults(monkeypatch, at, "raise"):
            assert attempt("gc", table) == 1
        assert capsys.readouterr().err == "catalog-tagger: down\n"
    assert storage.exists(str(table / "table.json"))
