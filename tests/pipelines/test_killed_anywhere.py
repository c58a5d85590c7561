"""`kill -9` at any moment, under programs that read: no snapshot is partial, mixed or unreadable."""

import random
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.forked_commands import Commands, Forked, forked_commands
from tests.support.nightly import Killed, nightly_bundle, tag_nightly
from tests.support.whole_snapshots import Readers
from tests.support.world import World, make_world
from transforms import storage
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import snapshot_numbers
from transforms.taxonomy.hierarchy import load_taxonomy

TRACKS, CHANGED = 8, 2
DEADLINE_S = 600.0
POLL_S = 0.1


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"), 6)


class Nights:
    """A catalog that loses two tracks every night and gets two new ones."""

    def __init__(self, world: World, folder: Path, commands: Commands, seed: int) -> None:
        self.table, self._catalog = folder / "table", folder / "catalog.parquet"
        self._words = ["tag", "--quiet", "--catalog", self._catalog, "--catalog-root", world.folder]
        self._words += ["--model", world.bundle, "--table", self.table, "--max-removed-ratio", 1]
        self._words += ["--max-reject-ratio", 1, "--buckets", 2, "--chunk-tracks", 2, "--direct_num_workers=1"]
        self._uris = [row["uri"] for row in world.rows().to_pylist()]
        self._commands, self._random, self._begun = commands, random.Random(seed), list[dict[str, str]]()
        tags = len(load_taxonomy(str(world.folder / "taxonomy.yaml")).tags)
        self.readers = Readers(self.table, lambda number, content: content in self._begun, tags)

    def start(self) -> Forked:
        """Starts `tag` on the catalog of the next night."""
        numbers = range(CHANGED * len(self._begun), CHANGED * len(self._begun) + TRACKS)
        ids = [f"track-{number:04d}" for number in numbers]
        versions = [str(number % 3) for number in numbers]
        uris = [self._uris[number % len(self._uris)] for number in numbers]
        pq.write_table(pa.table({"track_id": ids, "uri": uris, "source_version": versions}), self._catalog)
        self._begun.append(dict(zip(ids, versions, strict=True)))
        return self._commands.start(*self._words)

    def finish(self) -> int:
        """Runs a night to its end, under readers; returns how many files it made."""
        before, job = self.files(), self.start()
        while job.runs:
            self.poll()
        assert job.wait() == 0, self._commands.log.read_text()[-2000:]
        self.poll()
        assert content_of(self.table) == self._begun[-1]
        return self.files() - before

    def kill(self, most: int) -> bool:
        """Kills a night after it made so many files, or a little later; returns whether it was running then."""
        target, deadline = self.files() + self._random.randint(0, most), time.monotonic() + DEADLINE_S
        job = self.start()
        while job.runs and self.files() < target:
            self.poll()
            assert time.monotonic() < deadline
        if self._random.random() < 0.5:
            time.sleep(self._random.random() * 0.05)
        job.kill()
        code = job.wait()
        assert code in (0, -9), self._commands.log.read_text()[-2000:]
        self.poll()
        return code == -9

    def poll(self) -> None:
        if snapshot_numbers(str(self.table)) and (self.table / "current.sql").exists():
            self.readers.poll()
        time.sleep(POLL_S)

    def files(self) -> int:
        """Number of files that were ever finished."""
        return sum(not path.name.startswith(".") for path in self.table.rglob("*.*"))


def kill_tag(world: World, folder: Path, kills: int, seed: int) -> None:
    with forked_commands(folder / "log.txt", "pipelines.jobs.tag.running") as commands:
        nights = Nights(world, folder, commands, seed)
        most, killed = nights.finish(), 0
        while killed < kills:
            killed += nights.kill(most)
            if killed % 10 == 5:
                nights.finish()
        nights.finish()
        nights.readers.poll_history()
        assert commands.run("verify", nights.table, "--all") == 0


@pytest.mark.long
def test_a_hundred_kills_of_tag(world, tmp_path):
    kill_tag(world, tmp_path, 100, seed=2)


@pytest.mark.parametrize("nights", [5, pytest.param(25, marks=pytest.mark.long)])
def test_kills_of_the_part_that_publishes(tmp_path, nights):
    """Each night a run is finished, `publish` is killed at one of its accesses to the storage, and is run again."""
    bundle, table, begun = nightly_bundle(tmp_path / "bundle"), tmp_path / "table", [{"same": "1", "bad-1": "1"}]
    tag_nightly(str(table), begun[0], bundle)
    pick, readers = random.Random(3), Readers(table, lambda number, content: content in begun, tags=2)
    words = ["publish", table, "--max-reject-ratio", 1, "--max-removed-ratio", 1, "--quiet"]
    entry = "tests.support.killed_command:main"
    with forked_commands(tmp_path / "log.txt", "pipelines.jobs.publish", entry=entry) as commands:
        for night in range(nights):
            begun.append({"same": "1", f"new-{night}": "1", "bad-1": str(night)})
            leave_unpublished(str(table), begun[-1], bundle)
            assert commands.run(pick.randrange(70), pick.choice(["before", "after"]), *words) == -9
            readers.poll()
            code = commands.run(10**6, "before", *words)
            assert code in (0, 1), "1: a publication that was killed at its end leaves nothing to do"
            readers.poll()
            assert content_of(table) == begun[-1] and snapshot_numbers(str(table)) == list(range(1, len(begun) + 1))
        readers.poll_history()
        assert commands.run(10**6, "before", "verify", table, "--all", "--quiet") == 0


def leave_unpublished(root: str, catalog: dict[str, str], bundle) -> None:
    """A run that is killed before its snapshot is created."""
    create = storage.create

    def killed(url: str, data: bytes) -> None:
        if "/snapshots/" in url:
            raise Killed
        create(url, data)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(storage, "create", killed)
        tag_nightly(root, catalog, bundle)


def content_of(table: Path) -> dict[str, str]:
    """The newest snapshot: track id -> source version."""
    rows = open_snapshot(str(table)).scan("ledger", ["track_id", "source_version"]).to_pylist()
    return {row["track_id"]: row["source_version"] for row in rows}
