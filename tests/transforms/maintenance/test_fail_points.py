"""Jobs that stop at any step: readers see whole snapshots only, and the next execution completes all.

Every access to the storage is a fail point, at which a job is killed, meets an error, sleeps, or loses an answer. While
it is there and after it, DuckDB and pyarrow read the table. In `make test`, every job is stopped in every way, and the
first write of each sort fails in the first job that has it, and so do the reads of the audit. The long test lets every
write of every job fail in every way, and the first read of each sort.
"""

import dataclasses
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.support.nightly import READS, WRITES, Killed, age, faults, nightly_bundle, tag_nightly
from tests.support.whole_snapshots import Content, Readers
from tests.transforms.maintenance.test_collection import DAY, parts_of
from tests.transforms.maintenance.test_takedown import texts_of
from transforms import storage
from transforms.maintenance import leases
from transforms.maintenance.kinds import kind_of_path
from transforms.publishing.audit import RaceLost
from transforms.table.reader import open_history, open_snapshot
from transforms.table.snapshots import listed_numbers
from transforms.verification.manifest_checks import list_problems, table_problems
from transforms.verification.snapshot_checks import verify

LAST = {"a": "1", "b": "2", "bad-c": "1", "twin-1": "1", "twin-2": "1", "e": "1"}
NEXT = {"a": "1", "b": "3", "bad-c": "1", "twin-1": "1", "e": "1", "f": "1"}
OTHER = {"a": "1", "b": "2", "e": "1", "g": "1"}
"""What another run publishes while a job sleeps."""
GONE = "twin-1"
WAYS = ("kill before", "raise", "sleep", "answer lost", "kill after")


@dataclasses.dataclass(frozen=True)
class Job:
    """A job that changes a table.

    Attributes:
      run: runs it on a table; returns its exit code.
      target: content of the newest snapshot after it.
      gone: tracks that it takes out of all snapshots.
      alone: whether no other job may run beside it.
      sorts: the kinds of files that it writes or removes.
    """

    run: Callable[["Scene", Path], int]
    target: Content
    sorts: frozenset[str]
    gone: frozenset[str] = frozenset()
    alone: bool = False


def night(scene: "Scene", table: Path) -> int:
    try:
        tag_nightly(str(table), NEXT, scene.bundle)
    except RaceLost:
        return 4
    except storage.Unavailable:
        return 1
    return 0


def command(name: str, *flags: str) -> Callable[["Scene", Path], int]:
    return lambda scene, table: main([name, str(table), *flags, "--quiet"])


def publication(scene: "Scene", table: Path) -> int:
    """`publish`, or `tag` again if nothing is left to be published, as an operator does it."""
    code = main(["publish", str(table), "--max-reject-ratio", "1", "--max-removed-ratio", "1", "--quiet"])
    return night(scene, table) if scene.retries and code in (1, 4) else code


TAKEN = ["--track-id", GONE, "--apply", "--reader-grace", "0s"]
RUN = {"leases", "runs", "launches", "snapshots", "lists", "hints", "iceberg"}
REMOVED = {"leases", "log", "snapshots", "runs", "data", "parts", "lists", "unfinished", "iceberg"}
JOBS = {
    "night": Job(night, NEXT, frozenset(RUN | {"parts", "data"})),
    "publish": Job(publication, NEXT, frozenset(RUN - {"runs"} | {"reports"})),
    "rollback": Job(command("rollback", "2"), {"a": "1", "b": "1", "twin-1": "1", "twin-2": "1"},
                    frozenset(RUN - {"launches"})),
    "gc": Job(command("gc", "--keep-last", "2", "--apply"), LAST,
              frozenset(REMOVED | {"retired", "launches", "folders"}), alone=True),
    "purge": Job(command("purge", *TAKEN), LAST, frozenset(REMOVED | {"hints"}), frozenset({GONE}), alone=True),
}  # fmt: skip


class Scene:
    """Tables before a job, and what must hold after it was stopped."""

    def __init__(self, folder: Path) -> None:
        self.bundle, self.retries = nightly_bundle(folder / "bundle"), False
        other = nightly_bundle(folder / "other", seed=1)
        table = folder / "table"
        root = str(table)
        nights = [{"a": "1", "bad-c": "1", "twin-1": "1"}, JOBS["rollback"].target, LAST]
        for catalog in nights:
            tag_nightly(root, catalog, self.bundle)
        age(table, 30 * DAY)
        assert main(["gc", root, "--keep-last", "2", "--apply"]) == 0  # its files go in the next execution
        tag_nightly(root, LAST, self.bundle)
        age(table, 30 * DAY)
        parts_of(table, {**LAST, "a": "0", "b": "0"}, other)
        (table / "data" / ".partial-0123456789abcdef").write_bytes(b"unfinished")
        (table / "launches" / "launch-0000000001-000009.begun").write_bytes(b"")
        (table / "mine.txt").write_text("mine")
        age(table / "data", 30 * DAY)
        age(table / "launches", 30 * DAY)
        self.contents = {
            one.manifest.number: {
                row["track_id"]: row["source_version"]
                for row in one.scan("ledger", ["track_id", "source_version"]).to_pylist()
            }
            for one in open_history(root)
        }
        self.table, self.finished = table, folder / "finished"
        shutil.copytree(table, self.finished)

    def finish_a_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In `finished`, a run is killed before it publishes."""
        calls = recorded(self, "night", Path(shutil.copytree(self.table, self.finished.with_name("seen"))), monkeypatch)
        at = next(n for n, (name, kind) in enumerate(calls) if (name, kind) == ("create", "snapshots"))
        with faults(monkeypatch, at, "kill before", reads=True), pytest.raises(Killed):
            night(self, self.finished)
        age(self.finished / "leases", leases.EXPIRES_S + 60)

    def before(self, job: str) -> Path:
        return self.finished if job == "publish" else self.table

    def allowed(self, job: str) -> Callable[[int, Content], bool]:
        """Whether a snapshot of a number may have a content, once a job has begun."""
        after, gone = max(self.contents) + 1, JOBS[job].gone

        def may(number: int, content: Content) -> bool:
            old = self.contents.get(number)
            left = old and {track: version for track, version in old.items() if track not in gone}
            return content in (old, left) or (number >= after and content in (JOBS[job].target, OTHER))

        return may

    def check_end(self, job: str, table: Path) -> None:
        done = JOBS[job]
        target = {track: version for track, version in done.target.items() if track not in done.gone}
        assert (table / "mine.txt").exists() and not (done.alone and list((table / "leases").iterdir()))
        newest = open_snapshot(str(table))
        rows = newest.scan("ledger", ["track_id", "source_version"]).to_pylist()
        assert {row["track_id"]: row["source_version"] for row in rows} == target
        assert [problem for step in verify(newest) for problem in step.problems] == []
        assert [problem for reader in open_history(str(table)) for problem in list_problems(reader)] == []
        assert list(table_problems(str(table))) == []
        if done.alone:
            assert tag_nightly(str(table), target, self.bundle)[1] == set(), "what was removed was not needed"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        made = Scene(tmp_path_factory.mktemp("scene"))
        made.finish_a_run(patch)
        yield made


def attempt(scene: Scene, job: str, table: Path) -> int | None:
    """Exit code; None if the job was killed."""
    try:
        return JOBS[job].run(scene, table)
    except Killed:
        return None


def recorded(scene: Scene, job: str, table: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Each access of a job that is not stopped: the function, and the kind of the file."""
    with faults(monkeypatch, -1, "none", reads=True) as state:
        assert attempt(scene, job, table) == 0
    return [(name, sort_of(name, url.removeprefix(f"{table}/"))) for name, url in state.calls]


def sort_of(name: str, path: str) -> str:
    """The kind of a file, or the first folder of its path."""
    if name == "delete_empty_folder":
        return "folders"
    return kind_of_path(path) or ("unfinished" if "/.partial-" in path else path.split("/")[0])


def first_of_each(calls: list[tuple[str, str]]) -> list[int]:
    """Numbers of the first access of each sort, in order."""
    return sorted({sort: at for at, sort in reversed(list(enumerate(calls)))}.values())


def quick_points(calls: dict[str, list[tuple[str, str]]], job: str) -> list[int]:
    """The first write of each sort that no earlier job has, and others, so that each way has its turn.

    For `publish`, the first reads of data files are among them: they are those of the audit.
    """
    own = calls[job]
    audit = {("list_files", "data"), ("open_input", "data")} if job == "publish" else set()
    earlier = {call for other in itertools.takewhile(lambda other: other != job, calls) for call in calls[other]}
    several = [at for at in first_of_each(own) if own[at][0] in WRITES or own[at] in audit]
    new = [at for at in several if own[at] not in earlier or own[at] in audit]
    others = [at for at in several if at not in new]
    missing = max(0, len(WAYS) - len(new))
    return sorted(new + others[:: max(1, len(others) // max(1, missing))][:missing])


def check_stop(job: str, scene: Scene, table: Path, at: int, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    readers = Readers(table, scene.allowed(job), tags=2)
    with monkeypatch.context() as patch:

        def asleep() -> None:
            """Another run publishes; a job that is alone sleeps until its lease looks dead, and clocks show it."""
            readers.poll()
            if JOBS[job].alone:
                age(table / "leases", leases.EXPIRES_S + 60)
                patch.setattr(leases.HeldLease, "_now", staticmethod(lambda: (1e12, 1e12)))
            else:
                tag_nightly(str(table), OTHER, scene.bundle)
            readers.poll()

        with faults(patch, at, how, reads=True, meanwhile=readers.poll, asleep=asleep) as state:
            code = attempt(scene, job, table)
    assert state.count > at and (code is None) == how.startswith("kill"), (at, how)
    assert code in ({"sleep": (0, 4)}.get(how, (None, 0, 1))), (at, how)
    readers.poll_history()
    age(table / "leases", leases.EXPIRES_S + 60)
    scene.retries = True
    assert attempt(scene, job, table) == 0, (at, how)
    scene.retries = False
    readers.poll_history()
    scene.check_end(job, table)
    if job == "purge":
        assert GONE not in texts_of(table)
    shutil.rmtree(table)


@pytest.fixture(scope="module")
def calls(scene, tmp_path_factory):
    """Every access of each job that is not stopped."""
    folder = tmp_path_factory.mktemp("calls")
    with pytest.MonkeyPatch.context() as patch:
        return {job: recorded(scene, job, shutil.copytree(scene.before(job), folder / job), patch) for job in JOBS}


@pytest.mark.parametrize("job", JOBS)
def test_writes_are_of_the_sorts_that_a_job_names(job, calls):
    assert {kind for name, kind in calls[job] if name in WRITES} == JOBS[job].sorts


def test_each_sort_of_write_fails_in_a_job(calls):
    failing = {calls[job][at] for job in JOBS for at in quick_points(calls, job)}
    writes = {call for own in calls.values() for call in own if call[0] in WRITES}
    assert failing == writes | {("list_files", "data"), ("open_input", "data")}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_is_stopped_in_every_way(job, scene, calls, copied, monkeypatch):
    points = quick_points(calls, job)
    assert len(points) >= len(WAYS)
    for turn, at in enumerate(points, list(JOBS).index(job)):
        check_stop(job, scene, copied(scene.before(job), f"stop-{at}"), at, WAYS[turn % len(WAYS)], monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("job", JOBS)
def test_every_write_fails_in_every_way(job, how, scene, copied, monkeypatch):
    calls = recorded(scene, job, copied(scene.before(job), "seen"), monkeypatch)
    points = {*first_of_each(calls), *(at for at, (name, _) in enumerate(calls) if name not in READS)}
    for at in sorted(points):
        check_stop(job, scene, copied(scene.before(job), f"stop-{at}"), at, how, monkeypatch)


def test_a_storage_that_is_down_is_one_line(scene, copied, monkeypatch, capsys):
    table = copied(scene.table, "down")
    for at in itertools.islice(itertools.count(3), 2):
        with faults(monkeypatch, at, "raise"):
            assert main(["gc", str(table), "--keep-last", "2", "--apply"]) == 1
        assert capsys.readouterr().err == "catalog-tagger: down\n"
    assert listed_numbers(str(table)) == sorted(scene.contents)
