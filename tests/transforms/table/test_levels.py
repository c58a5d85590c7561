"""Levels: whatever the history, every reader has the rows of the last version of each track, exactly once."""

import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.cli import main
from tests.support.histories import LEVELS, Fact, publish_facts, rows_of
from transforms.publishing.rollback import roll_back
from transforms.publishing.verification import verify
from transforms.schemas.tables import KEYS
from transforms.table.duckdb_views import connect
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.sql import bigquery_statements, spark_statements
from transforms.table.versions import TableMetadata, read_table_metadata
from transforms.tagging.levels import Compaction

TRACKS = [f"t{number}" for number in range(12)]
facts = st.builds(
    Fact,
    version=st.integers(1, 3),
    title=st.sampled_from("ab"),
    artist=st.sampled_from([0, 1, 2, None]),
    rejected=st.sampled_from([False, False, False, True]),
)
nights = st.tuples(
    st.just("night"),
    st.dictionaries(st.sampled_from(TRACKS), st.one_of(st.none(), facts), max_size=3),  # None: removed
    st.sampled_from([LEVELS, LEVELS, Compaction(least_bytes=0, full=True), Compaction(least_bytes=0, share=0)]),
)
others = st.one_of(
    st.tuples(st.just("rollback"), st.integers(1, 9)), st.tuples(st.just("purge"), st.sampled_from(TRACKS))
)
START = {track: Fact(artist=number % 3) for number, track in enumerate(TRACKS[:9])}


def records(rows: pa.Table, name: str) -> list[dict]:
    return sorted(rows.to_pylist(), key=lambda row: (row[KEYS[name]], row.get("tag", "")))


def assert_is(snapshot: SnapshotReader, model: dict[str, Fact]) -> None:
    """The rows are those of the model, in order by bucket; so say DuckDB, `verify` and the content hash."""
    expected = rows_of(model)
    with connect(snapshot) as views, duckdb.connect() as printed:
        printed.execute((Path(snapshot.root) / "current.sql").read_text(encoding="utf-8"))
        for name, rows in expected.items():
            wanted = records(rows, name)
            assert records(snapshot.scan(name), name) == wanted
            assert snapshot.manifest.rows(name) == len(wanted)
            for connection in (views, printed):
                assert records(connection.sql(f"FROM {name}").to_arrow_table(), name) == wanted
        artists = records(snapshot.scan("artist_tags"), "artist_tags")
        assert records(printed.sql("FROM artist_tags").to_arrow_table(), "artist_tags") == artists
    assert [problem for step in verify(snapshot) for problem in step.problems] == []


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.one_of(nights, nights, nights, others), min_size=2, max_size=6))
def test_random_histories(history):
    with tempfile.TemporaryDirectory() as folder:
        root = str(Path(folder) / "table")
        publish_facts(root, START)
        models = {1: dict(START)}
        for what, *given_ in history:
            newest = max(models)
            if what == "night":
                changes, compaction = given_
                model = models[newest] | changes
                model = {track: fact for track, fact in model.items() if fact is not None} or dict(START)
                publish_facts(root, model, compaction)
                models[newest + 1] = model
            elif what == "rollback" and given_[0] < newest:
                if (made := roll_back(root, given_[0]).number) > newest:
                    models[made] = models[given_[0]]
            elif what == "purge" and all(set(model) - {given_[0]} for model in models.values()):
                assert main(["purge", root, "--track-id", given_[0], "--reader-grace", "0s", "--apply", "--quiet"]) == 0
                models = {n: {t: fact for t, fact in m.items() if t != given_[0]} for n, m in models.items()}
        for number in models:
            assert records(open_snapshot(root, number).scan("ledger"), "ledger") == records(
                rows_of(models[number])["ledger"], "ledger"
            )
        model = models[max(models)]
        assert_is(open_snapshot(root), model)
        compact = publish_facts(str(Path(folder) / "other"), model)
        newest = open_snapshot(root)
        assert newest.manifest.run.content_hash == compact.run.content_hash
        groups = [
            records(reader.scan("artist_tags"), "artist_tags") for reader in (newest, open_snapshot(f"{folder}/other"))
        ]
        assert groups[0] == groups[1]
