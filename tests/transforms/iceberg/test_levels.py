"""Iceberg's readers see the rows of a table with levels: superseded and removed ones are listed as position deletes."""

import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from pipelines.cli import main
from tests.support.histories import BUCKETS, LEVELS, Fact, can_be_purged, publish_facts
from tests.support.iceberg import differences, files_listed, iceberg_rows, listed, opened
from tests.transforms.table.test_levels import START, few, histories
from transforms import storage
from transforms.formats.hashing import bucket_of
from transforms.iceberg import deletes, drafts
from transforms.iceberg.checks import iceberg_problems
from transforms.iceberg.following import follow
from transforms.iceberg.manifests import POSITION_DELETES
from transforms.iceberg.versions import read_version, version_files, version_path
from transforms.levels.writing import Compaction
from transforms.publishing.rollback import roll_back
from transforms.schemas.tables import KEYS, TABLES
from transforms.table.reader import open_history, open_snapshot


def problems(root: str) -> list[str]:
    return [problem for snapshot in open_history(root) for problem in iceberg_problems(snapshot)]


def assert_equal(root: str, tables: Sequence[str] = ("tracks",)) -> None:
    """At every number, pyiceberg reads the rows of this project's reader, and `verify` has no complaint."""
    assert problems(root) == [] and differences(root, tables) == []


@settings(few, max_examples=2)
@given(histories)
def test_random_histories(history):
    assert_history(history, each_step=False)


@pytest.mark.long
@settings(few, max_examples=60)
@given(histories)
def test_many_random_histories(history):
    assert_history(history, each_step=True)


def assert_history(history, *, each_step: bool) -> None:
    """Plays nights, rollbacks, takedowns and, after every third step, a collection."""
    with tempfile.TemporaryDirectory() as folder:
        root = str(Path(folder) / "table")
        publish_facts(root, START)
        models = {1: dict(START)}
        for step, (what, *given_) in enumerate(history, 1):
            newest = max(models)
            if what == "night":
                changes, compaction = given_
                model = {track: fact for track, fact in (models[newest] | changes).items() if fact is not None}
                models[newest + 1] = model or dict(START)
                publish_facts(root, models[newest + 1], compaction)
            elif what == "rollback" and given_[0] < newest and given_[0] in models:
                if (made := roll_back(root, given_[0]).number) > newest:
                    models[made] = models[given_[0]]
            elif what == "purge" and can_be_purged(given_[0], models.values()):
                assert main(["purge", root, "--track-id", given_[0], "--reader-grace", "0s", "--apply", "--quiet"]) == 0
                models = {n: {t: fact for t, fact in m.items() if t != given_[0]} for n, m in models.items()}
            if step % 3 == 0:
                assert main(["gc", root, "--keep-last", "3", "--older-than", "0s", "--apply", "--quiet"]) == 0
                models = {number: models[number] for number in listed(root)}
            if each_step:
                assert_equal(root, tuple(TABLES))
        assert_equal(root, tuple(TABLES))
        follow(root, anew=True)
        assert problems(root) == []


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> str:
    """Changed rows, a removed and an added track, a title that only `tracks` has, no change, a second change."""
    root = str(tmp_path_factory.mktemp("levels") / "table")
    model = dict(START)
    publish_facts(root, model)
    for changes in (
        {"t1": Fact(2)},
        {"t2": None, "t10": Fact()},
        {"t4": Fact(artist=1, title="b")},
        {},
        {"t1": Fact(3)},
    ):
        model = {track: fact for track, fact in (model | changes).items() if fact is not None}
        publish_facts(root, model)
    return root


@pytest.fixture
def table(published, tmp_path) -> Iterator[str]:
    """The table, which is put back afterwards: its place is part of Iceberg's metadata."""
    shutil.copytree(published, tmp_path / "copy")
    yield published
    shutil.rmtree(published)
    shutil.move(tmp_path / "copy", published)


def delete_files(root: str, number: int, name: str = "tracks") -> dict[str, tuple[int, int]]:
    """Path -> (snapshot that added it, number of positions) of the files of positions of a snapshot."""
    entries = read_version(root, name).entries(number)
    return {one.path: (one.since, one.rows) for one in entries if one.content == POSITION_DELETES}


def test_every_table_is_read_equal_at_every_number(published):
    assert listed(published) == [1, 2, 3, 4, 5, 6]
    assert_equal(published, tuple(TABLES))


def test_a_night_adds_one_file_with_the_new_positions_alone(published):
    found = [delete_files(published, number) for number in (1, 2, 3, 4, 5)]
    assert [list(files.values()) for files in found] == [
        [], [(2, 1)], [(2, 1), (3, 1)], [(2, 1), (3, 1), (4, 1)], [(2, 1), (3, 1), (4, 1)],
    ]  # fmt: skip
    assert list(found[4]) == list(found[3]) and set(found[1]) < set(found[2]) < set(found[3])
    assert [len(delete_files(published, 4, name)) for name in ("embeddings", "taxonomy", "track_tags")] == [2, 0, 2]


def test_metadata_say_what_is_deleted(published):
    tracks = opened(published, "tracks")
    data, positions = tracks.snapshot_by_id(3).manifests(tracks.io)
    assert (data.content.name, positions.content.name) == ("DATA", "DELETES")
    assert (positions.added_rows_count, positions.existing_rows_count) == (1, 1)
    summary = tracks.snapshot_by_id(3).summary
    assert summary.operation.value == "overwrite"
    assert summary["total-delete-files"] == "2" and summary["total-position-deletes"] == "2"


def test_a_file_of_one_data_file_names_it(published):
    (entry,) = [one for one in read_version(published, "tracks").entries(2) if one.content == POSITION_DELETES]
    rows = pq.read_table(Path(published) / entry.path).to_pylist()
    assert [row["file_path"] for row in rows] == [f"{published}/{entry.refers_to}"]


def test_polars_reads_each_row_once(published):
    name = "track_tags"
    path = f"{published}/{version_path(name, read_version(published, name).number)}"
    for number in (2, 6):
        found = polars.scan_iceberg(path, snapshot_id=number).select(KEYS[name]).collect().to_series()
        assert sorted(found) == sorted(open_snapshot(published, number).scan(name)[KEYS[name]].to_pylist())


def test_without_levels_there_are_no_files_of_positions(tmp_path):
    root = str(tmp_path / "table")
    publish_facts(root, START)
    publish_facts(root, START | {"t1": Fact(2)}, Compaction())  # small buckets are written whole
    assert not list(Path(root).glob("iceberg/*/deletes"))
    assert all(len(list(Path(root).glob(f"iceberg/{name}/metadata/*-m1.avro"))) == 0 for name in TABLES)


def test_a_compacted_table_lists_none(table):
    model = {t: f for t, f in (START | {"t1": Fact(3), "t10": Fact()}).items() if t != "t2"}
    publish_facts(table, model, dataclasses.replace(LEVELS, full=True))
    assert [delete_files(table, 7, name) for name in TABLES] == [{}] * len(TABLES)
    assert_equal(table)


def test_a_rollback_lists_all_positions_in_one_file(table):
    """Also if the snapshot before kept some of them: its files of positions are older than the entries of data."""
    model = {track: Fact(4, artist=number % 3) for number, track in enumerate(START)}
    publish_facts(table, model, dataclasses.replace(LEVELS, full=True))
    roll_back(table, 6)
    dead = {name: sum(file.dead for file in open_snapshot(table).live_files(name)) for name in KEYS}
    assert {name: list(delete_files(table, 8, name).values()) for name in KEYS} == {
        name: [(8, count)] if count else [] for name, count in dead.items()
    }
    assert dead["tracks"] == 3 and delete_files(table, 7) == {}
    publish_facts(table, START | {"t1": Fact(4)})
    assert_equal(table)


@pytest.mark.long
def test_two_branches_after_rollbacks_are_not_mixed_up(tmp_path):
    """The same files with as many dead rows, but other ones."""
    root = str(tmp_path / "table")
    publish_facts(root, START)
    publish_facts(root, START | {"t1": Fact(2)})
    roll_back(root, 1)
    publish_facts(root, START | {"t3": Fact(2)})
    roll_back(root, 2)
    publish_facts(root, START | {"t1": Fact(2), "t5": Fact(2)})
    assert_equal(root)


def test_many_files_of_positions_become_one(tmp_path, monkeypatch):
    monkeypatch.setattr(deletes, "MOST_FILES", 2)
    root, model = str(tmp_path / "table"), {f"t{number}": Fact() for number in range(20)}
    for number in range(1, 6):
        publish_facts(root, model | {f"t{changed}": Fact(2) for changed in range(1, number)})
    files = [list(delete_files(root, number, "embeddings").values()) for number in range(1, 6)]
    assert files == [[], [(2, 1)], [(2, 1), (3, 1)], [(4, 3)], [(4, 3), (5, 1)]]
    assert_equal(root, ("embeddings",))


def test_a_snapshot_whose_neighbour_is_not_listed(table):
    for number in (2, 5):
        storage.delete(f"{table}/snapshots/{number:010d}.json")
    shutil.rmtree(f"{table}/iceberg")
    follow(table)
    assert listed(table) == [1, 3, 4, 6]
    assert [list(delete_files(table, number).values()) for number in (3, 4, 6)] == [
        [(3, 2)], [(3, 2), (4, 1)], [(6, sum(file.dead for file in open_snapshot(table).live_files("tracks")))],
    ]  # fmt: skip
    assert_equal(table)


@pytest.mark.long
def test_metadata_without_positions_are_not_continued(table, monkeypatch):
    """What a program without position deletes has written."""
    with monkeypatch.context() as patch:
        patch.setattr(drafts, "position_deletes", lambda *_: [])
        follow(table, anew=True)
    assert problems(table)
    publish_facts(table, START | {"t5": Fact(2)})
    assert iceberg_rows(table, "ledger", 7).num_rows == len(START)
    assert list(iceberg_problems(open_snapshot(table, 7))) == []


def test_writing_again_changes_nothing(table):
    def bytes_of():
        return {path: path.read_bytes() for path in Path(table, "iceberg").rglob("*") if path.is_file()}

    before = bytes_of()
    follow(table)
    follow(table, anew=True)
    assert bytes_of() == before


def test_a_moved_table_gets_files_of_positions_for_its_new_place(table, tmp_path, capsys):
    moved = str(shutil.copytree(table, tmp_path / "moved"))
    assert main(["iceberg", moved, "--quiet"]) == 0
    assert_equal(moved)
    for path in files_listed(moved):
        if "/deletes/" in path:
            names = pq.read_table(Path(moved) / path)["file_path"].unique().to_pylist()
            assert all(name.startswith(f"{moved}/data/") for name in names)


def test_gc_and_purge_remove_files_of_positions_that_nothing_lists(table):
    before = {str(path) for path in Path(table).glob("iceberg/*/deletes/*")}
    words = ["purge", table, "--track-id", "t4", "--reader-grace", "0s", "--apply", "--quiet"]
    assert main(words) == 0
    assert_equal(table)
    own = {path for path in files_listed(table) if "/deletes/" in path}
    kept = {str(path.relative_to(table)) for path in Path(table).glob("iceberg/*/deletes/*")}
    assert kept == own and len(kept) < len(before)
    assert main(["gc", table, "--keep-last", "1", "--older-than", "0s", "--apply", "--quiet"]) == 0
    assert_equal(table)


def test_a_snapshot_with_a_missing_file_is_left_out_with_a_warning(table, caplog):
    files = {number: open_snapshot(table, number).manifest.delete_files("tracks") for number in range(2, 7)}
    (file,) = set(files[2]) - set(files[6])
    damaged = {number for number, found in files.items() if file in found}
    storage.delete(f"{table}/{file.path}")
    with caplog.at_level(logging.WARNING, "transforms"):
        follow(table, anew=True)
    assert 2 in damaged and set(listed(table)) == set(range(1, 7)) - damaged
    assert any("do not list snapshot 2: " in record.getMessage() for record in caplog.records)
    assert differences_of(table, listed(table)) == []


@pytest.mark.long
def test_a_night_after_a_damaged_one_lists_all_positions(table):
    """The file that its positions would be compared with is missing."""
    file = open_snapshot(table, 6).manifest.delete_files("tracks")[0]
    removed = [track for track in ("t0", "t3", "t5", "t6", "t7", "t8") if bucket_of(track, BUCKETS) == file.bucket]
    model = START | {"t1": Fact(3), "t10": Fact(), "t4": Fact(artist=1, title="b")}
    publish_facts(table, {track: fact for track, fact in model.items() if track not in ("t2", removed[0])})
    assert len(delete_files(table, 7)) > 1
    storage.delete(f"{table}/{file.path}")
    storage.delete(max(version_files(table, "tracks").items())[1].url)
    follow(table)
    (found,) = delete_files(table, 7).values()
    assert found == (7, sum(one.dead for one in open_snapshot(table).live_files("tracks")))
    assert differences_of(table, [7]) == []


def differences_of(root: str, numbers) -> list:
    return [
        (name, number)
        for number in numbers
        for name in KEYS
        if iceberg_rows(root, name, number).num_rows != open_snapshot(root, number).manifest.rows(name)
    ]


@pytest.mark.parametrize("damage", ["other rows", "fewer rows", "missing", "no file"])
def test_verify_finds_wrong_positions(table, damage):
    (path, *_) = delete_files(table, 6)
    rows = pq.read_table(Path(table) / path)
    if damage == "missing":
        storage.delete(f"{table}/{path}")
    elif damage == "no file":
        version = read_version(table, "tracks")
        for manifest in version.manifests(6):
            if manifest.endswith("-m1.avro"):
                (Path(table) / manifest).write_bytes(b"")
    else:
        changed = (
            rows.slice(1) if damage == "fewer rows" else rows.set_column(1, rows.schema.field(1), [[0] * len(rows)])
        )
        pq.write_table(changed, Path(table) / path)
    expected = {
        "other rows": "are taken out than in snapshot 6",
        "fewer rows": f"{path} has 0 positions instead of 1",
        "missing": "positions of rows that do not count cannot be compared",
        "no file": "lists other files than snapshot 6",
    }[damage]
    (problem,) = iceberg_problems(open_snapshot(table, 6))
    assert expected in problem and f"run `catalog-tagger iceberg {table}`" in problem
    follow(table, anew=True)
    assert list(iceberg_problems(open_snapshot(table, 6))) == []


def test_the_readme_counts_live_rows(table):
    lines = (Path(table) / "README.md").read_text(encoding="utf-8").splitlines()
    snapshot = open_snapshot(table)
    for name in KEYS:
        assert any(line.startswith(f"- `{name}` ({snapshot.scan(name).num_rows} rows)") for line in lines)
