"""`kill -9` of the whole of `tag` at any moment, under programs that read: no snapshot is partial, mixed or unreadable."""

import random
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.forked_commands import Commands, Forked, forked_commands
from tests.support.whole_snapshots import Readers
from tests.support.world import World, make_world
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import snapshot_numbers

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
        tags = len(open_taxonomy(world))
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
        rows = open_snapshot(str(self.table)).scan("ledger", ["track_id", "source_version"]).to_pylist()
        assert {row["track_id"]: row["source_version"] for row in rows} == self._begun[-1]
        return self.files() - before

    def kill(self, most: int) -> bool:
        """Kills a night after it made so many files, or a little later; returns whether it was running then."""
        target, job, deadline = self.files() + self._random.randint(0, most), self.start(), time.monotonic() + DEADLINE_S
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


def open_taxonomy(world: World) -> list[str]:
    from transforms.taxonomy.hierarchy import load_taxonomy

    return [tag.id for tag in load_taxonomy(str(world.folder / "taxonomy.yaml")).tags]


def kill_tag(world: World, folder: Path, kills: int, seed: int) -> None:
    with forked_commands(folder / "log.txt", "pipelines.jobs.tag") as commands:
        nights = Nights(world, folder, commands, seed)
        most, killed = nights.finish(), 0
        while killed < kills:
            killed += nights.kill(most)
            if killed % 10 == 5:
                nights.finish()
        nights.finish()
        nights.readers.poll_history()
        assert commands.run("verify", nights.table, "--all") == 0


def test_ten_kills(world, tmp_path):
    kill_tag(world, tmp_path, 10, seed=1)


@pytest.mark.long
def test_a_hundred_kills(world, tmp_path):
    kill_tag(world, tmp_path, 100, seed=2)
