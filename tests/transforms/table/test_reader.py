"""Snapshots as analysts read them: which one is opened, which rows come, and which files are opened for them."""

import dataclasses
import datetime
import json
import re
import shutil
import textwrap
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.support.manifests import edit_manifest
from tests.support.published import BUCKETS, fake_bundle, publish_table
from tests.support.world import read_table
from transforms import storage
from transforms.formats import parquet
from transforms.formats.hashing import bucket_of
from transforms.schemas.tables import TABLES
from transforms.table import reader, versions
from transforms.table.layout import snapshot_path
from transforms.table.reader import open_history, open_snapshot
from transforms.table.versions import TableError

DAYS = {1: "2026-01-30T22:00:00+00:00", 2: "2026-01-31T22:00:00+00:00", 3: "2026-02-03T22:00:00+00:00"}
TRACKS = {1: 6, 2: 12, 3: 12}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A table of three snapshots, published at the times of `DAYS`."""
    folder = tmp_path_factory.mktemp("tables")
    bundle = fake_bundle(folder / "bundle")
    for tracks in TRACKS.values():
        publish_table(folder / "table", bundle, tracks)
    for number, created in DAYS.items():
        path = folder / "table" / snapshot_path(number)
        edit_manifest(path, lambda fields, created=created: fields.update(created=created))
    return str(folder / "table")


@pytest.fixture
def opened(monkeypatch):
    """Names of the data files that are opened, relative to `data/run=...`."""
    names, unwatched = [], storage.open_input

    def open_input(url):
        names.append(re.sub(r".*/data/run=[^/]*/", "", url))
        return unwatched(url)

    monkeypatch.setattr(storage, "open_input", open_input)
    return names


def rows(table: pa.Table) -> list[dict]:
    return table.to_pylist()


def test_the_example_of_the_module_runs(root):
    code = re.search(r"(?:^    .+\n|^\n)+", reader.__doc__, re.M)[0]
    found: dict = {}
    exec(textwrap.dedent(code).replace("gs://bucket/table", root), found)
    assert len(found["frame"]) == 2 * 33 and found["batch"].num_rows


def test_the_newest_snapshot_is_opened(root):
    snapshot = open_snapshot(root)
    assert (snapshot.root, snapshot.manifest.number, snapshot.buckets) == (root, 3, BUCKETS)


def test_a_snapshot_prints_in_one_line(root):
    assert repr(open_snapshot(root, 2)) == f"SnapshotReader({root!r}, snapshot=2)"


@pytest.mark.parametrize(
    "as_of, number",
    [
        ("2026-01-31", 2),
        ("2026-02-02", 2),
        ("2026-01-31T21:59", 1),
        ("2026-01-31T22:00:00", 2),
        ("2026-01-31T22:30:00+01:00", 1),
        ("2027-01-01", 3),
        (datetime.date(2026, 1, 30), 1),
        (datetime.datetime(2026, 2, 3, 22), 3),
        (datetime.datetime(2026, 2, 3, 22, tzinfo=datetime.timezone(datetime.timedelta(hours=1))), 2),
    ],
)
def test_as_of_is_the_newest_published_by_then(root, as_of, number):
    assert open_snapshot(root, as_of=as_of).manifest.number == number


@pytest.mark.parametrize(
    "wanted, words",
    [
        ({"snapshot": 7}, "no snapshot 7; snapshots are 1 to 3"),
        ({"as_of": "2026-01-29"}, "no snapshot as of 2026-01-29; the first one, 1, is from 2026-01-30T22:00:00"),
        ({"as_of": "yesterday"}, "'yesterday' is not a time: give a date such as"),
        ({"snapshot": 1, "as_of": "2026-01-31"}, "give snapshot or as_of, not both"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_line(root, wanted, words):
    with pytest.raises(ValueError, match=re.escape(words)) as refused:
        open_snapshot(root, **wanted)
    assert "\n" not in str(refused.value)


def test_missing_numbers_show_in_the_list(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "table")
    (copy / snapshot_path(2)).unlink()
    with pytest.raises(TableError, match="no snapshot 2; snapshots are 1, 3"):
        open_snapshot(str(copy), 2)
    with pytest.raises(TableError, match="no snapshot 2"):
        open_snapshot(str(copy)).previous()


@pytest.mark.parametrize("stored", ["", "[]", "{}"])
def test_a_damaged_snapshot_is_told_in_one_line(root, tmp_path, stored):
    copy = shutil.copytree(root, tmp_path / "table")
    (copy / snapshot_path(3)).write_text(stored)
    with pytest.raises(TableError, match=r"0000000003.json: not a snapshot") as refused:
        open_snapshot(str(copy))
    assert "\n" not in str(refused.value)


def test_a_folder_without_snapshots(tmp_path):
    with pytest.raises(
        TableError, match=r"^no snapshot is published here: .* is no table, because it has no table.json"
    ):
        open_snapshot(str(tmp_path))
    versions.open_table(str(tmp_path), 3)
    with pytest.raises(TableError, match="no snapshot is published here; `catalog-tagger tag --table"):
        open_snapshot(str(tmp_path))


def test_a_newer_table_is_refused(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "table")
    (copy / "table.json").write_text(json.dumps({"schema_version": 1, "buckets": 3, "min_reader_version": 99}))
    with pytest.raises(TableError, match="upgrade catalog-tagger"):
        open_snapshot(str(copy))


def test_previous_snapshots_lead_back_to_the_first(root):
    newest = open_snapshot(root)
    assert [s.manifest.number for s in (newest, newest.previous(), newest.previous().previous())] == [3, 2, 1]
    assert open_snapshot(root, 1).previous() is None


def test_the_history_is_all_snapshots(root):
    assert [(s.manifest.number, s.manifest.created) for s in open_history(root)] == list(DAYS.items())


@pytest.mark.parametrize("name", sorted(TABLES.keys() - {"neighbours"}))
def test_all_rows_and_columns(root, name):
    snapshot = open_snapshot(root, 2)
    expected = read_table(Path(root), snapshot.manifest, name)
    assert snapshot.scan(name).equals(expected)
    assert snapshot.schema(name).equals(expected.schema)


def test_columns_come_in_the_order_asked_for(root):
    found = open_snapshot(root, 2).scan("tracks", ["bpm", "track_id"])
    assert found.column_names == ["bpm", "track_id"] and found.num_rows == 12


def test_files_can_be_read_by_others(root, monkeypatch):
    snapshot = open_snapshot(root, 2)
    monkeypatch.chdir(Path(root).parent)
    files = open_snapshot("table", 2).files("ledger")
    assert files == snapshot.files("ledger") and len(files) == BUCKETS
    assert sum(parquet.read_parquet(file).num_rows for file in files) == 14


def test_files_of_a_table_on_gs(root):
    there = dataclasses.replace(open_snapshot(root), root="gs://bucket/table")
    assert all(file.startswith("gs://bucket/table/data/run=") for file in there.files("tracks"))


@pytest.mark.parametrize("name", ["tracks", "track_tags", "embeddings", "ledger"])
@pytest.mark.parametrize("wanted", [["track-0003"], ["track-0003", "track-0007", "track-0003", "nobody"], []])
def test_rows_of_some_tracks(root, name, wanted):
    snapshot = open_snapshot(root, 2)
    every = snapshot.scan(name)
    expected = every.filter(pc.is_in(every["track_id"], value_set=pa.array(wanted, pa.string())))
    found = snapshot.scan(name, track_ids=wanted)
    assert found.equals(expected)
    assert len(set(found["track_id"].to_pylist())) == len(set(wanted) - {"nobody"})


def test_tracks_need_not_be_among_the_columns(root):
    snapshot = open_snapshot(root, 2)
    expected = [row for row in rows(snapshot.scan("track_tags")) if row["track_id"] == "track-0005"]
    found = snapshot.scan("track_tags", ["tag", "score"], track_ids={"track-0005"})
    assert rows(found) == [{"tag": row["tag"], "score": row["score"]} for row in expected] and len(expected) == 33


def test_a_column_of_ids_can_be_asked_for(root):
    snapshot = open_snapshot(root, 2)
    calm = snapshot.scan("track_tags", ["track_id", "tag"]).filter(pc.field("tag") == "mood/calm")
    assert snapshot.scan("tracks", track_ids=calm["track_id"]).num_rows == 12


def test_only_files_that_can_hold_a_track_are_opened(root, opened):
    open_snapshot(root, 2).scan("embeddings", ["track_id"], track_ids=["track-0003"])
    assert [name.split("/")[0] for name in opened] == [f"bucket={bucket_of('track-0003', BUCKETS):04d}"]
    opened.clear()
    open_snapshot(root, 2).scan("embeddings", ["track_id"])
    assert len(opened) == BUCKETS


def test_one_bucket(root, opened):
    snapshot = open_snapshot(root, 2)
    found = [snapshot.scan("ledger", ["track_id"], bucket=bucket) for bucket in range(snapshot.buckets)]
    assert len(opened) == BUCKETS
    for bucket, own in enumerate(found):
        assert own.num_rows and {bucket_of(track, BUCKETS) for track in own["track_id"].to_pylist()} == {bucket}
    assert sum(own.num_rows for own in found) == 14


def test_row_groups_are_skipped_by_their_statistics(root, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 2)
    path = tmp_path / "many.parquet"
    ids = [f"track-{n:04d}" for n in range(10)]
    path.write_bytes(parquet.parquet_bytes(pa.table({"track_id": ids})))
    with parquet.open_parquet(str(path)) as file:
        assert file.groups_with("track_id", ["track-0000", "track-0005"]) == [0, 2]
        assert file.groups_with("track_id", ["nobody", "track-0004x", "zebra"]) == [2]


def test_rows_are_read_across_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 3)
    publish_table(tmp_path / "table", fake_bundle(tmp_path / "bundle"), 24)
    snapshot = open_snapshot(str(tmp_path / "table"))
    expected = read_table(tmp_path / "table", snapshot.manifest, "tracks")
    assert snapshot.scan("tracks").equals(expected)
    wanted = expected["track_id"].to_pylist()[::5]
    assert snapshot.scan("tracks", ["track_id"], track_ids=wanted)["track_id"].to_pylist() == wanted


def test_batches_are_the_rows_of_scan(root, monkeypatch):
    monkeypatch.setattr(reader, "BATCH_ROWS", 50)
    snapshot = open_snapshot(root, 2)
    batches = list(snapshot.batches("track_tags", ["track_id", "score"], track_ids=["track-0001", "track-0002"]))
    assert all(isinstance(batch, pa.RecordBatch) and 0 < batch.num_rows <= 50 for batch in batches)
    expected = snapshot.scan("track_tags", ["track_id", "score"], track_ids=["track-0001", "track-0002"])
    assert pa.Table.from_batches(batches).equals(expected) and expected.num_rows == 2 * 33


def test_batches_open_one_file_after_the_other(root, opened):
    batches = open_snapshot(root, 2).batches("tracks")
    assert opened == []
    next(batches)
    assert len(opened) == 1


def test_nothing_found_has_the_columns_asked_for(root):
    found = open_snapshot(root, 2).scan("tracks", ["bpm", "title"], track_ids=["nobody"])
    assert found.num_rows == 0 and found.column_names == ["bpm", "title"]


def test_a_table_without_files_has_its_declared_columns(root):
    snapshot = open_snapshot(root, 2)
    run = dataclasses.replace(snapshot.manifest.run, files=())
    empty = dataclasses.replace(snapshot, manifest=dataclasses.replace(snapshot.manifest, run=run))
    assert empty.scan("ledger").schema.equals(TABLES["ledger"])


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"name": "songs"}, "no table 'songs'; tables are tracks, track_tags, embeddings, ledger, taxonomy"),
        ({"name": "taxonomy", "columns": ["tag", "label"]}, "has no column 'label'; columns are tag, category, kind"),
        (
            {"name": "tracks", "columns": ["bpm", "x"], "track_ids": ["nobody"]},
            "has no column 'x'; columns are track_id",
        ),
        ({"name": "taxonomy", "track_ids": ["track-0001"]}, "taxonomy of snapshot 2 has no column 'track_id'"),
        ({"name": "tracks", "embedding_id": "em-1"}, "tracks of snapshot 2 has no column 'embedding_id'"),
        ({"name": "ledger", "bucket": 3}, "no bucket 3; buckets are 0 to 2"),
        ({"name": "embeddings", "embedding_id": "em-1"}, "snapshot 2 has embeddings em-"),
    ],
)
def test_what_cannot_be_scanned_is_told_in_one_line(root, arguments, words):
    with pytest.raises(TableError, match=re.escape(words)) as refused:
        open_snapshot(root, 2).scan(**arguments)
    assert "\n" not in str(refused.value)


def test_batches_of_a_column_that_is_not_there(root):
    with pytest.raises(TableError, match="ledger of snapshot 2 has no column 'bpm'"):
        next(open_snapshot(root, 2).batches("ledger", ["bpm"]))


def test_embeddings_of_the_right_kind(root):
    snapshot = open_snapshot(root, 2)
    own = snapshot.manifest.run.ids.embedding_id
    assert snapshot.scan("embeddings", embedding_id=own).num_rows == 12


def test_one_id_alone_is_no_list(root):
    with pytest.raises(TypeError, match="give a list of ids"):
        open_snapshot(root).scan("tracks", track_ids="track-0001")


def test_a_damaged_file_is_an_error(root, tmp_path):
    copy = shutil.copytree(root, tmp_path / "table")
    snapshot = open_snapshot(str(copy))
    Path(snapshot.files("ledger")[1]).write_bytes(b"something else")
    with pytest.raises(storage.StorageError, match=r"ledger-.*\.parquet: 14 bytes, the snapshot has") as refused:
        snapshot.scan("ledger")
    assert "\n" not in str(refused.value)
    assert snapshot.scan("tracks").num_rows == 12


def test_a_text_where_a_list_or_a_number_is_meant_says_what_to_give(root):
    with pytest.raises(TypeError, match=r"columns='title': give a list of names"):
        open_snapshot(str(root)).scan("tracks", "title")
    for given in ("2026-11-29", "3"):
        with pytest.raises(TypeError) as raised:
            open_snapshot(str(root), given)
        assert str(raised.value) == (f"snapshot={given!r}: give the number of a snapshot, or a time as as_of={given!r}")
