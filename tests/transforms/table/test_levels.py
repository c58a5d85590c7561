"""Levels: whatever the history, every reader has the rows of the last version of each track, exactly once."""

import dataclasses
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import duckdb
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.cli import main
from tests.support.histories import LEVELS, Fact, can_be_purged, publish_facts, rows_of
from transforms.levels.writing import Compaction, done_compaction, planned_compaction
from transforms.publishing.rollback import roll_back
from transforms.schemas.tables import DELETES, KEYS, PER_BUCKET
from transforms.storage import StorageError
from transforms.table.duckdb_views import connect
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.snapshots import DataFile
from transforms.table.sql import bigquery_statements, quoted, spark_statements
from transforms.table.versions import TableMetadata, read_table_metadata
from transforms.verification.snapshot_checks import verify

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
        printed.execute(f"SET VARIABLE table_root = {quoted(snapshot.root)}")
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


histories = st.lists(st.one_of(nights, nights, nights, others), min_size=2, max_size=6)
few = settings(max_examples=4, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


@few
@given(histories)
def test_random_histories(history):
    assert_history(history)


@pytest.mark.long
@settings(few, max_examples=150)
@given(histories)
def test_many_random_histories(history):
    assert_history(history)


def assert_history(history) -> None:
    """Plays nights, rollbacks and takedowns; every snapshot has the rows that the last one of a model has."""
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
            elif what == "purge" and can_be_purged(given_[0], models.values()):
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


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> str:
    """Five nights: changed rows, a removed and an added track, a title that only `tracks` has, and no change."""
    root = str(tmp_path_factory.mktemp("levels") / "table")
    model = dict(START)
    publish_facts(root, model)
    for changes in ({"t1": Fact(2)}, {"t2": None, "t10": Fact()}, {"t4": Fact(artist=1, title="b")}, {}):
        model = {track: fact for track, fact in (model | changes).items() if fact is not None}
        publish_facts(root, model)
    return root


def files_of(root: str, number: int, name: str) -> list[tuple]:
    return [(file.bucket, file.order, file.rows, file.dead) for file in open_snapshot(root, number).live_files(name)]


def test_a_bucket_whose_rows_do_not_change_keeps_its_files(table):
    fourth, fifth = (open_snapshot(table, number).manifest.run for number in (4, 5))
    assert {file.path for file in fourth.files if file.bucket >= 0} == {f.path for f in fifth.files if f.bucket >= 0}
    assert [file.table for file in fifth.written] == ["taxonomy"] and fifth.content_hash == fourth.content_hash


def test_each_table_is_decided_by_itself(table):
    """A new title is a row of `tracks`; scores, embeddings and ledger stay."""
    third, fourth = (open_snapshot(table, number).manifest for number in (3, 4))
    assert {file.table for file in fourth.run.written} == {"taxonomy", "tracks", "track_deletes"}
    assert third.files("embeddings") == fourth.files("embeddings")
    bucket = fourth.run.written[0].bucket
    assert [file.order for file in fourth.files("tracks") if file.bucket == bucket][-1] == 4
    assert sum(file.dead for file in fourth.files("tracks")) == 1 + sum(file.dead for file in third.files("tracks"))


def test_the_interface_of_levels(table):
    """Another program that follows the module's documentation finds each track once."""
    snapshot = open_snapshot(table)
    found = []
    for file in snapshot.live_files("tracks"):
        rows = pq.read_table(snapshot.url(file), columns=["track_id"], partitioning=None)["track_id"].to_pylist()
        if file.has_deletes:
            deletes = snapshot.deletes("tracks", file.bucket).to_pylist()
            gone = {row["track_id"] for row in deletes if row["before"] > file.order}
            assert len(gone & set(rows)) == file.dead > 0
            rows = [track for track in rows if track not in gone]
        found += rows
    assert sorted(found) == sorted(snapshot.scan("tracks")["track_id"].to_pylist())
    assert len(snapshot.manifest.delete_files("tracks")) == len(
        {f.bucket for f in snapshot.live_files("tracks") if f.dead}
    )


def test_the_plain_list_names_the_last_compacted_state(table):
    """Every track at most once, in pandas, pyarrow and Polars."""
    snapshot = open_snapshot(table)
    listed = (Path(table) / "manifests/0000000005/tracks.txt").read_text(encoding="utf-8").splitlines()
    assert listed == snapshot.files("tracks") and snapshot.compacted == 1
    assert '"compacted": 1' in (Path(table) / "current.json").read_text(encoding="utf-8")
    first = sorted(open_snapshot(table, 1).scan("tracks")["track_id"].to_pylist())
    assert (
        sorted(pa.concat_tables(map(pq.ParquetFile.read, map(pq.ParquetFile, listed)))["track_id"].to_pylist()) == first
    )
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    assert sorted(pandas.concat([pandas.read_parquet(file, partitioning=None) for file in listed])["track_id"]) == first
    assert sorted(polars.scan_parquet(listed, hive_partitioning=False).collect()["track_id"]) == first
    assert polars.from_arrow(snapshot.scan("tracks"))["track_id"].n_unique() == snapshot.manifest.rows("tracks")


@pytest.mark.parametrize("name", [*PER_BUCKET, "artist_tags"])
def test_engines_that_join_have_each_row_once(table, name):
    """As the guide says: Polars and pyarrow datasets, with the groups of files of `levels`."""
    snapshot, key = open_snapshot(table), KEYS[name]
    polars = pytest.importorskip("polars")
    parts = [
        polars.scan_parquet(files, hive_partitioning=False).join(polars.from_arrow(gone).lazy(), on=key, how="anti")
        for files, gone in snapshot.levels(name)
    ]
    wanted = records(snapshot.scan(name).select([key]), name)
    assert records(polars.concat(parts).select(key).collect().to_arrow(), name) == wanted
    tables = [
        pyarrow.dataset.dataset(files).to_table([key]).join(gone, key, join_type="left anti")
        for files, gone in snapshot.levels(name)
    ]
    assert records(pa.concat_tables(tables), name) == wanted


def test_rows_of_a_bucket_are_in_the_order_of_one_file(table, tmp_path):
    snapshot, other = open_snapshot(table), str(tmp_path / "other")
    model = START | {"t1": Fact(2), "t10": Fact(), "t4": Fact(artist=1, title="b")}
    del model["t2"]
    publish_facts(other, model)
    for name in KEYS:
        for bucket in range(snapshot.buckets):
            columns = [KEYS[name]]
            assert snapshot.scan(name, bucket=bucket).equals(open_snapshot(other).scan(name, bucket=bucket))
            assert snapshot.scan(name, columns, bucket=bucket).equals(
                snapshot.scan(name, bucket=bucket).select(columns)
            )
    tracks = ["t1", "t2", "t10", "t5"]
    assert sorted(snapshot.scan("embeddings", ["track_id"], track_ids=tracks)["track_id"].to_pylist()) == [
        "t1",
        "t10",
        "t5",
    ]


def test_a_compacted_table_is_one_file_a_bucket_with_the_same_content(table, copied_table):
    before = open_snapshot(copied_table)
    model = START | {"t1": Fact(2), "t10": Fact(), "t4": Fact(artist=1, title="b")}
    del model["t2"]
    full = Compaction(least_bytes=0, full=True)
    planned = planned_compaction(full, before)
    after = publish_facts(copied_table, model, full)
    assert before.manifest.run.has_levels and not after.run.has_levels
    assert after.run.content_hash == before.manifest.run.content_hash
    assert all(file.dead == 0 and file.table not in DELETES for file in after.run.files)
    done = done_compaction(full, before, after.run.files)
    assert (done.files, done.read_bytes) == (planned.files, planned.read_bytes) and planned.files > 1
    assert done.write_bytes == sum(file.bytes for file in after.run.written if file.table != "taxonomy")
    reader = open_snapshot(copied_table)
    assert reader.compacted == 6 and planned_compaction(full, reader) == (0, 0, 0)


@pytest.fixture
def copied_table(table, tmp_path) -> str:
    return str(shutil.copytree(table, tmp_path / "table"))


def test_newer_files_are_merged_when_there_are_many(tmp_path, monkeypatch):
    most = 2
    monkeypatch.setattr("transforms.levels.writing.MOST_NEWER", most)
    root, rule = str(tmp_path / "table"), Compaction(least_bytes=0, share=10)
    publish_facts(root, START, rule)
    for version in range(2, most + 4):
        publish_facts(root, START | {"t1": Fact(version), "t5": Fact(version)}, rule)
    for name in (*PER_BUCKET, "artist_tags"):
        buckets = [bucket for bucket, *_ in files_of(root, most + 3, name)]
        assert 1 < max(map(buckets.count, buckets)) <= most + 1
    assert_is(open_snapshot(root), START | {"t1": Fact(most + 3), "t5": Fact(most + 3)})


def test_compaction_is_spread_over_nights():
    """The limits of 1,000 buckets are from half of the share to three halves of it."""
    rule = Compaction(share=0.2)

    def files(bucket: int, newer: int) -> list[DataFile]:
        facts = {"table": "tracks", "bucket": bucket, "bytes": 1, "sha256": "", "content": "", "path": "data/run=r/x"}
        return [DataFile(**facts, rows=1000, dead=newer, merged="m"), DataFile(**facts, rows=newer, order=1)]

    due = [sum(rule.due(files(bucket, newer)) for bucket in range(1000)) for newer in (100, 150, 200, 250, 301)]
    assert due[0] == 0 and due[-1] == 1000 and all(200 < low - high < 300 for high, low in pairwise(due))


def test_old_programs_refuse_a_table_with_levels_only(tmp_path):
    root = str(tmp_path / "table")
    publish_facts(root, START)
    publish_facts(root, START | {"t1": Fact(2)}, Compaction())  # small buckets are written whole
    assert read_table_metadata(root) == TableMetadata(buckets=2, min_reader_version=1, min_writer_version=2)
    publish_facts(root, START | {"t1": Fact(3)})
    assert read_table_metadata(root) == TableMetadata(buckets=2, min_reader_version=2, min_writer_version=3)


class FakeFrame:
    """The calls of PySpark that are printed, by DuckDB."""

    views: ClassVar[dict[str, pa.Table]] = {}

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows

    def where(self, condition: str) -> "FakeFrame":
        rows = self.rows  # noqa: F841 - DuckDB finds it by its name
        return FakeFrame(duckdb.sql(f"FROM rows WHERE {condition}").to_arrow_table())

    def join(self, other: "FakeFrame", on: str, how: str) -> "FakeFrame":
        assert how == "left_anti"
        own, gone = self.rows, other.rows  # noqa: F841
        return FakeFrame(duckdb.sql(f"FROM own ANTI JOIN gone USING ({on})").to_arrow_table())

    def unionByName(self, other: "FakeFrame") -> "FakeFrame":
        return FakeFrame(pa.concat_tables([self.rows, other.rows.select(self.rows.column_names)]))

    def createOrReplaceTempView(self, name: str) -> None:
        self.views[name] = self.rows


class FakeReader:
    """`spark.read` of the printed statements."""

    def option(self, *_: str) -> "FakeReader":
        return self

    def parquet(self, *files: str) -> FakeFrame:
        return FakeFrame(duckdb.read_parquet(list(files), hive_partitioning=False).to_arrow_table())


def test_the_statements_for_spark_have_each_row_once(table):
    snapshot = open_snapshot(table)
    exec(spark_statements(snapshot), {"spark": SimpleNamespace(read=FakeReader())})
    for name in (*PER_BUCKET, "artist_tags"):
        key = KEYS[name]
        assert records(FakeFrame.views[name].select([key]), name) == records(snapshot.scan(name, [key]), name)


def test_other_statements_name_levels(table):
    """Spark and BigQuery take out what is superseded; their engines are not here."""
    snapshot = open_snapshot(table)
    there = SnapshotReader(root="gs://bucket/table", manifest=snapshot.manifest, buckets=2)
    spark, bigquery = spark_statements(snapshot), bigquery_statements(there)
    orders = sorted({file.order for file in snapshot.live_files("tracks") if file.dead})
    for order in orders:
        assert f'.join(track_deletes.where("tracks > {order}"), "track_id", "left_anti")' in spark
    run = next(file.run_id for file in snapshot.live_files("tracks") if file.dead)
    assert f"CASE REGEXP_EXTRACT(own._FILE_NAME, r'/run=([^/]+)/') WHEN '{run}' THEN {orders[0]}" in bigquery
    assert "uris = ['gs://bucket/table/manifests/0000000005/tracks_live.txt']" in bigquery
    lists = {path.name for path in (Path(table) / "manifests/0000000005").iterdir()}
    assert {"tracks_live.txt", "track_deletes.txt"} <= lists


@pytest.mark.parametrize("what", ["dead", "merged", "file"])
def test_verify_finds_wrong_levels(copied_table, what):
    snapshot = open_snapshot(copied_table)
    file = next(file for file in snapshot.live_files("tracks") if file.dead)
    if what == "file":
        path = Path(copied_table) / snapshot.manifest.delete_files("tracks")[0].path
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    changed = {"dead": {"dead": file.dead + 1}, "merged": {"merged": "0" * 64}, "file": {}}[what]
    files = tuple(dataclasses.replace(f, **changed) if f == file else f for f in snapshot.manifest.run.files)
    run = dataclasses.replace(snapshot.manifest.run, files=files)
    wrong = SnapshotReader(root=copied_table, manifest=dataclasses.replace(snapshot.manifest, run=run), buckets=2)
    problems = [problem for step in verify(wrong) for problem in step.problems]
    expected = {"dead": "rows are taken out", "merged": "rows of tracks have another content hash", "file": "sha256"}
    assert any(expected[what] in problem for problem in problems)
    if what == "file":
        with pytest.raises(StorageError):
            wrong.scan("tracks")
