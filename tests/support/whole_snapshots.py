"""Readers that poll a table while jobs change it: DuckDB and pyarrow must see whole snapshots only."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb

from transforms.table.reader import SnapshotReader, open_history, open_snapshot
from transforms.table.sql import quoted

Content = Mapping[str, str]
"""Track id -> source version."""

DUCKDB_ROWS = """
SELECT (SELECT count(*) FROM ledger), (SELECT count(DISTINCT track_id) FROM ledger), (SELECT count(*) FROM tracks),
  (SELECT count(*) FROM embeddings), (SELECT count(*) FROM track_tags),
  (SELECT count(DISTINCT track_id || ' ' || tag) FROM track_tags),
  (SELECT list(track_id || '=' || source_version ORDER BY track_id) FROM ledger)
"""


@functools.cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


@dataclasses.dataclass
class Readers:
    """Two programs that read the newest snapshot of a table, each in its own way.

    Attributes:
      allowed: whether a snapshot of this number may have this content.
      tags: number of tags of every track that is not rejected.
      seen: numbers of the snapshots that were read.
    """

    table: Path
    allowed: Callable[[int, Content], bool]
    tags: int
    seen: set[int] = dataclasses.field(default_factory=set)

    def poll(self) -> None:
        """Reads the newest snapshot, by pyarrow and by DuckDB."""
        reader = open_snapshot(str(self.table))
        self.check(reader)
        self._check_duckdb()
        self.seen.add(reader.manifest.number)

    def poll_history(self) -> None:
        """Reads all snapshots that are listed."""
        for reader in open_history(str(self.table)):
            self.check(reader)
        self._check_duckdb()

    def check(self, reader: SnapshotReader) -> None:
        """The snapshot is one of those that may be, its tables belong together, and its ids balance."""
        number, counts = reader.manifest.number, reader.manifest.run.counts
        rows = reader.scan("ledger", ["track_id", "source_version", "status"]).to_pylist()
        content = {row["track_id"]: row["source_version"] for row in rows}
        assert self.allowed(number, content), (number, content)
        status = [row["status"] for row in rows]
        found = {name: status.count(name) for name in ("tagged", "carried", "rejected")}
        assert len(content) == len(rows) == counts["catalog"] == sum(found.values()), (number, counts)
        assert found == {name: counts[name] for name in found}, number
        kept = {row["track_id"] for row in rows if row["status"] != "rejected"}
        for name, times in (("tracks", 1), ("embeddings", 1), ("track_tags", self.tags)):
            ids = reader.scan(name, ["track_id"])["track_id"].to_pylist()
            assert set(ids) == kept and len(ids) == times * len(kept), (number, name)

    def _check_duckdb(self) -> None:
        """What `current.sql` opens: the newest snapshot, or the one before it if a job was stopped at its hints."""
        connection = _connection()
        connection.execute(f"SET VARIABLE table_root = {quoted(str(self.table))}")
        connection.execute((self.table / "current.sql").read_text())
        ledger, ids, tracks, embeddings, tags, pairs, listed = connection.execute(DUCKDB_ROWS).fetchone()
        content = dict(row.split("=") for row in listed)
        assert any(self.allowed(number, content) for number in range(1, 100)), content
        assert (ledger, tracks, tags) == (ids, embeddings, pairs) and tags == self.tags * tracks
