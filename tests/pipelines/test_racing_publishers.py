"""Several processes publish to one table at the same time: versions are contiguous, and no run is refused."""

import time

import pytest

from tests.support.forked_commands import forked_commands
from tests.support.nightly import nightly_bundle
from tests.support.racing_tag import catalog_of
from tests.support.whole_snapshots import Readers
from transforms.table.reader import open_history
from transforms.table.snapshots import snapshot_numbers
from transforms.verification.snapshot_checks import verify


def race(folder, processes: int, nights: int, rounds: int) -> None:
    """In each round, all processes start again at the same time."""
    nightly_bundle(folder / "bundle")
    table, wanted = folder / "table", []
    readers = Readers(table, lambda number, content: content in wanted, tags=2)
    with forked_commands(folder / "log.txt", entry="tests.support.racing_tag:main") as commands:
        for turn in range(rounds):
            own = [(f"{number}", turn * nights) for number in range(processes)]
            jobs = [commands.start(table, folder / "bundle", who, first, nights) for who, first in own]
            wanted += [catalog_of(who, first + night) for who, first in own for night in range(nights)]
            while any(job.runs for job in jobs):
                if (table / "current.sql").exists():
                    readers.poll()
                time.sleep(0.05)
            codes = [job.wait() for job in jobs]
            assert codes == [0] * processes, commands.log.read_text()[-3000:]
            assert snapshot_numbers(str(table)) == list(range(1, len(wanted) + 1))
    found = []
    for reader in open_history(str(table)):
        readers.check(reader)
        assert reader.manifest.run.parent == (reader.manifest.number - 1 or None)
        rows = reader.scan("ledger", ["track_id", "source_version"]).to_pylist()
        found.append({row["track_id"]: row["source_version"] for row in rows})
    key = lambda catalog: sorted(catalog.items())  # noqa: E731
    assert sorted(found, key=key) == sorted(wanted, key=key), "each run was published exactly once"
    assert [problem for step in verify(reader) for problem in step.problems] == []
    assert not list((table / "leases").iterdir())


def test_three_processes(tmp_path):
    race(tmp_path, processes=3, nights=2, rounds=1)


@pytest.mark.long
def test_eight_processes_in_six_rounds(tmp_path):
    race(tmp_path, processes=8, nights=4, rounds=6)
