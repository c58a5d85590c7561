"""Iceberg's metadata of published snapshots, read by pyiceberg."""

import json
import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.support.iceberg import differences, files_listed, iceberg_rows, listed, opened
from tests.support.published import fake_bundle, publish_table
from transforms import storage
from transforms.iceberg import drafts, following
from transforms.iceberg.following import follow
from transforms.iceberg.versions import read_version
from transforms.publishing.rollback import roll_back
from transforms.schemas.tables import TABLES
from transforms.table.layout import snapshot_path
from transforms.table.snapshots import read_snapshot


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return fake_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def published(tmp_path_factory, bundle):
    """Three snapshots; the third has the content of the first."""
    table = tmp_path_factory.mktemp("tables") / "o'neill [2024]*? {a} #1 %20"
    publish_table(table, bundle, 6)
    publish_table(table, bundle, 12, carried=("track-0001",))
    roll_back(str(table), 1)
    return table


@pytest.fixture
def table(published, tmp_path):
    """A copy that was told its new place."""
    copy = Path(shutil.copytree(published, tmp_path / "table"))
    follow(str(copy))
    return copy


def metadata(table, name="tracks"):
    version = read_version(str(table), name)
    return version.number, version.fields


def without_metadata(table):
    shutil.rmtree(table / "iceberg")


def test_every_table_is_read_equal_at_every_number(published):
    assert listed(published) == [1, 2, 3]
    assert differences(published) == []


def test_a_tag_names_the_number_and_the_newest_snapshot_is_current(published):
    for name in TABLES:
        table = opened(published, name)
        assert table.current_snapshot().snapshot_id == 3
        assert {ref: r.snapshot_id for ref, r in table.metadata.refs.items()} == {
            "main": 3, "snapshot-1": 1, "snapshot-2": 2, "snapshot-3": 3,
        }  # fmt: skip
        summaries = [one.summary.additional_properties for one in table.snapshots()]
        assert [one["catalog-tagger.snapshot"] for one in summaries] == ["1", "2", "3"]
        hashes = [read_snapshot(str(published), number).run.content_hash for number in (1, 2, 3)]
        assert [one["catalog-tagger.content-hash"] for one in summaries] == hashes


def test_manifests_say_what_is_new_what_stays_and_what_is_gone(published):
    for number, expected in ((1, (3, 0, 0)), (2, (2, 1, 2)), (3, (2, 1, 2))):
        table = opened(published, "tracks")
        (manifest,) = table.snapshot_by_id(number).manifests(table.io)
        counts = (manifest.added_files_count, manifest.existing_files_count, manifest.deleted_files_count)
        assert counts == expected
        entries = manifest.fetch_manifest_entry(table.io, discard_deleted=False)
        assert {entry.snapshot_id for entry in entries if entry.status.name != "EXISTING"} == {number}
        assert {entry.snapshot_id for entry in entries if entry.status.name == "EXISTING"} <= {1}


def test_a_file_that_stays_keeps_the_snapshot_that_added_it(table):
    """A snapshot that lost its neighbour: the files of the third one are those of the first one."""
    storage.delete(str(table / snapshot_path(2)))
    without_metadata(table)
    follow(str(table))
    tracks = opened(table, "tracks")
    (manifest,) = tracks.snapshot_by_id(3).manifests(tracks.io)
    entries = manifest.fetch_manifest_entry(tracks.io)
    assert [(entry.status.name, entry.snapshot_id, entry.sequence_number) for entry in entries] == [
        ("EXISTING", 1, 1)
    ] * 3
    assert tracks.snapshot_by_id(3).parent_snapshot_id == 1 and differences(table, ("tracks",)) == []


def test_other_programs_may_not_remove_files(published):
    assert {opened(published, name).properties["gc.enabled"] for name in TABLES} == {"false"}


def test_writing_again_changes_nothing(table):
    before = {path: path.read_bytes() for path in (table / "iceberg").rglob("*") if path.is_file()}
    follow(str(table))
    assert {path: path.read_bytes() for path in (table / "iceberg").rglob("*") if path.is_file()} == before
    number, fields = metadata(table)
    follow(str(table), anew=True)
    assert metadata(table) == (number, fields)


def test_from_nothing_all_retained_snapshots_are_listed(table):
    fields = metadata(table)[1]
    without_metadata(table)
    follow(str(table))
    assert differences(table) == []
    assert {**metadata(table)[1], "schemas": 0} == {**fields, "schemas": 0}


def test_a_moved_table_is_pointed_to_its_new_place_and_keeps_its_ids(published, tmp_path):
    moved = Path(shutil.copytree(published, tmp_path / "moved"))
    assert not files_listed_at(moved)
    before = metadata(moved)[1]
    follow(str(moved))
    assert files_listed_at(moved) and differences(moved) == []
    after = metadata(moved)[1]
    for same in ("table-uuid", "schemas", "last-column-id", "current-snapshot-id", "properties"):
        assert after[same] == before[same]


def files_listed_at(table):
    """Whether the metadata name files below this folder."""
    return opened(table, "tracks").location().startswith(str(table))


def test_the_next_publication_catches_up(table, bundle, monkeypatch, caplog):
    def fails(*_):
        raise storage.Unavailable("the storage is away")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "transforms"):
        patch.setattr(drafts, "write_version", fails)
        assert publish_table(table, bundle, 18).number == 4
    assert [record.getMessage() for record in caplog.records] == [
        "the snapshot is published, but Iceberg's metadata do not list it (the storage is away): the next publication, "
        f"or `catalog-tagger iceberg {table}`, adds it"
    ]
    assert listed(table) == [1, 2, 3]
    roll_back(str(table), 3)
    assert listed(table) == [1, 2, 3, 4, 5] and differences(table, ("tracks", "ledger")) == []


@pytest.fixture
def behind(table):
    """A table whose metadata do not list its newest snapshot yet."""
    path = table / snapshot_path(3)
    record = path.read_bytes()
    path.unlink()
    follow(str(table))
    path.write_bytes(record)
    return table


def test_a_stop_leaves_the_version_before_whole(behind, monkeypatch):
    """The process ends before any of its writes: what a folder's newest version lists is complete."""
    left = iter(())

    def stopping(write):
        def stop(url, data):
            if next(left, None) is None:
                raise KeyboardInterrupt
            write(url, data)

        return stop

    with monkeypatch.context() as patch:
        for name in ("create", "write_bytes"):
            patch.setattr(storage, name, stopping(getattr(storage, name)))
        for writes in (0, 3, 9, 15):
            left = iter(range(writes))
            with pytest.raises(KeyboardInterrupt):
                follow(str(behind))
            check_complete(behind)
    follow(str(behind))
    assert listed(behind) == [1, 2, 3] and differences(behind, ("tracks",)) == []


def check_complete(table):
    for name in TABLES:
        found = opened(table, name)
        for snapshot in found.snapshots():
            tasks = list(found.scan(snapshot_id=snapshot.snapshot_id).plan_files())
            own = read_snapshot(str(table), snapshot.snapshot_id).files(name)
            assert sum(task.file.record_count for task in tasks) == sum(file.rows for file in own)


def test_never_ahead(table):
    """What is listed was published, also while a publisher and a collector write at the same time."""
    without_metadata(table)
    with ThreadPoolExecutor(4) as writers:
        list(writers.map(lambda _: follow(str(table)), range(4)))
    assert metadata(table)[0] == 1 and listed(table) == [1, 2, 3]
    storage.delete(str(table / snapshot_path(2)))
    follow(str(table))
    assert listed(table) == [1, 3] and differences(table, ("tracks",)) == []


def test_another_writer_was_first(table, monkeypatch):
    storage.delete(str(table / snapshot_path(1)))
    original, seen = following.listed_numbers, []

    def other_writer(root):
        seen.append(root)
        if len(seen) == 1:
            follow(root)
            storage.delete(str(table / snapshot_path(2)))
        return original(root)

    monkeypatch.setattr(following, "listed_numbers", other_writer)
    follow(str(table))
    assert listed(table) == [3]


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"format-version": 2}', b"\xff\x00"])
def test_damaged_metadata_are_written_again(table, damage):
    number, _ = metadata(table)
    (table / f"iceberg/tracks/metadata/v{number}.metadata.json").write_bytes(damage)
    follow(str(table))
    assert metadata(table)[0] == number + 1 and differences(table, ("tracks",)) == []


def test_damaged_manifests_are_written_again(table):
    for path in (table / "iceberg" / "tracks" / "metadata").glob("*.avro"):
        path.write_bytes(path.read_bytes()[:40])
    follow(str(table), anew=True)
    assert differences(table, ("tracks",)) == []


def test_a_damaged_snapshot_is_left_out(table):
    without_metadata(table)
    path = table / snapshot_path(2)
    path.write_bytes(path.read_bytes().replace(b'"rows": ', b'"rows":  ', 1)[:-20])
    follow(str(table))
    assert listed(table) == [1, 3]


def test_gc_takes_retired_snapshots_out_before_their_files(table):
    roll_back(str(table), 2)
    assert main(["gc", str(table), "--keep-last", "1", "--older-than", "0s", "--apply"]) == 0
    assert listed(table) == [4] and differences(table) == []
    assert files_listed(table) == {file.path for file in read_snapshot(str(table), 4).run.files}


def test_json_of_a_version_is_canonical(table):
    number, fields = metadata(table)
    text = (table / f"iceberg/tracks/metadata/v{number}.metadata.json").read_text()
    assert json.loads(text) == fields and (table / "iceberg/tracks/metadata/version-hint.text").read_text() == str(
        number
    )


def removed(monkeypatch):
    """What Iceberg's metadata list while files are removed: paths that are listed and gone, which must be none."""
    original, wrong, lists = storage.delete, [], set()

    def delete(url, *, beneath=None):
        nonlocal lists
        original(url, beneath=beneath)
        path = url.removeprefix(f"{beneath}/")
        if beneath is not None and path.startswith("data/"):
            lists = lists or files_listed(beneath)
            wrong.extend({path} & lists)

    monkeypatch.setattr(storage, "delete", delete)
    return wrong


def test_metadata_never_list_a_file_that_gc_removed(table, monkeypatch):
    roll_back(str(table), 2)
    for _ in range(2):
        assert main(["gc", str(table), "--keep-last", "1", "--older-than", "0s", "--apply"]) == 0
        for path in (table / "retired").iterdir():
            age_file(path)
        for path in (table / "iceberg").rglob("*"):
            age_file(path)
    wrong = removed(monkeypatch)
    assert main(["gc", str(table), "--keep-last", "1", "--older-than", "0s", "--apply"]) == 0
    assert wrong == [] and listed(table) == [4]
    kept = {path.name for path in (table / "iceberg" / "tracks" / "metadata").iterdir()}
    assert len(kept) == 4 and {"version-hint.text", f"v{metadata(table)[0]}.metadata.json"} < kept
    assert differences(table, ("tracks",)) == []


def age_file(path):
    old = path.stat().st_mtime - 10 * 86_400
    os.utime(path, (old, old))


def test_a_takedown_rewrites_every_number_and_leaves_no_earlier_metadata(table, monkeypatch):
    wrong = removed(monkeypatch)
    words = ["purge", str(table), "--track-id", "track-0001", "--reader-grace", "0s", "--apply"]
    assert main(words) == 0
    assert wrong == [] and listed(table) == [1, 2, 3] and differences(table, ("ledger", "artist_tags")) == []
    assert "track-0001" not in iceberg_rows(table, "ledger", 1)["track_id"].to_pylist()
    own = {file.path for number in (1, 2, 3) for file in read_snapshot(str(table), number).run.files}
    assert files_listed(table) == own and all((table / path).exists() for path in own)
    for name in TABLES:
        versions = list((table / "iceberg" / name / "metadata").glob("v*.metadata.json"))
        assert len(versions) == 1
