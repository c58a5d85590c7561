"""Programs that read while jobs remove: DuckDB and pyarrow see whole snapshots only."""

import threading
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from tests.support.nightly import Killed, age, faults, tag_nightly
from tests.support.waiting import wait_until
from transforms.maintenance import leases
from transforms.table.reader import open_snapshot
from transforms.table.sql import duckdb_statements

DAY = 86_400.0


class Poller(threading.Thread):
    """Reads the newest snapshot again and again, in two ways; its first problem ends it."""

    def __init__(self, table: Path) -> None:
        super().__init__(daemon=True)
        self.table, self.seen, self.problem, self.end = table, set[int](), "", threading.Event()
        self.polls = 0

    def run(self) -> None:
        try:
            while not self.end.is_set():
                self._poll()
                self.polls += 1
        except Exception as error:  # noqa: BLE001 - whatever a reader meets is a problem
            self.problem = repr(error)

    def _poll(self) -> None:
        reader = open_snapshot(str(self.table))
        counts = reader.manifest.run.counts
        kept = counts["catalog"] - counts["rejected"]
        with duckdb.connect() as connection:
            connection.execute(duckdb_statements(reader))
            sql = (
                "SELECT (SELECT count(*) FROM ledger), (SELECT count(*) FROM tracks), (SELECT count(*) FROM track_tags)"
            )
            found = connection.execute(sql).fetchone()
        assert found == (counts["catalog"], kept, 2 * kept), (reader.manifest.number, found)
        rows = [pq.ParquetFile(path).read(["track_id"]) for path in reader.files("embeddings")]
        assert sum(one.num_rows for one in rows) == kept
        self.seen.add(reader.manifest.number)

    def wait_for(self, number: int) -> None:
        wait_until(lambda: number in self.seen or self.problem, f"snapshot {number} is read")

    def finish_poll(self, _: float) -> None:
        """In place of the time that readers are given: returns when what is being read now has been read."""
        now = self.polls
        wait_until(lambda: self.polls > now or self.problem, "a reader ends")


@pytest.fixture
def poller(table):
    reader = Poller(table)
    yield reader
    reader.end.set()
    reader.join()


def test_polling_readers(table, bundle, poller, monkeypatch):
    catalog = {f"t{number}": "1" for number in range(6)} | {"bad-1": "1"}
    tag_nightly(str(table), catalog, bundle)
    poller.start()
    words = ["--keep-last", "1", "--older-than", "0s", "--apply"]
    for night in range(3):
        number = tag_nightly(str(table), {**catalog, f"new-{night}": "1"}, bundle)[0].number
        poller.wait_for(number)
        with faults(monkeypatch, 3 + night, "kill after"), pytest.raises(Killed):
            main(["gc", str(table), *words])
        age(table / "leases", leases.EXPIRES_S + 60)
        assert main(["gc", str(table), *words]) == 0
    monkeypatch.setattr("transforms.maintenance.takedown._sleep", poller.finish_poll)
    gone = ["--track-id", "t0", "--track-id", "new-2", "--apply"]
    assert main(["purge", str(table), *gone, "--reader-grace", "2s"]) == 0
    assert main(["gc", str(table), *words]) == 0
    tag_nightly(str(table), {track: version for track, version in catalog.items() if track != "t0"}, bundle)
    poller.wait_for(5)
    assert poller.problem == "" and poller.seen >= {2, 3, 4, 5}
