"""`tag` after files were copied or touched: their times changed, their bytes did not, and nothing is decoded again."""

import json
import os
import shutil
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.support.world import World, ledger, make_world, other_bundle, tag, tag_code, tag_other
from transforms.table.snapshots import Snapshot


@pytest.fixture
def own(tmp_path: Path) -> World:
    return make_world(tmp_path / "w", 14)


def _touch(world: World, seconds: int) -> None:
    for path in (world.folder / "audio").rglob("*"):
        os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + seconds * 10**9))


def _counter(snapshot: Snapshot, name: str) -> int:
    return int(snapshot.run.measured["counters"].get("extract", {}).get(name, 0))


def test_touched_files_are_read_once_and_not_decoded(own: World, tmp_path: Path, capsys) -> None:
    table = tmp_path / "table"
    first = tag(own, table)
    before = ledger(table, first)
    _touch(own, 60)
    second = tag(own, table)
    counts, after = second.run.counts, ledger(table, second)
    assert (counts["decoded"], counts["reused"]) == (0, 0)
    assert counts["rejected"] == first.run.counts["rejected"] > 0
    assert counts["carried"] == first.run.counts["tagged"]
    assert second.run.content_hash == first.run.content_hash
    read = [track for track, row in before.items() if row["source_sha256"]]
    assert _counter(second, "tracks_same_bytes") == len(read)
    assert all(after[track]["source_version"] != before[track]["source_version"] for track in read)
    assert {track: row["run_id"] for track, row in after.items() if row["status"] == "carried"} == {
        track: row["run_id"] for track, row in before.items() if row["status"] == "tagged"
    }
    assert main(["verify", str(table)]) == 0
    capsys.readouterr()
    assert main(["diff", str(table), "1", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["tracks"]
    assert (found["touched"], found["changed"], found["source"]) == (len(read), 0, 0)
    third = tag(own, table)
    assert third.run.content_hash == first.run.content_hash
    assert _counter(third, "tracks_same_bytes") == 0, "the new versions were recorded: nothing is read again"


def test_a_copy_of_the_catalog_gives_the_same_hash(own: World, tmp_path: Path) -> None:
    first = tag(own, tmp_path / "one")
    shutil.copytree(own.folder, tmp_path / "copy")
    _touch(World(tmp_path / "copy"), 3600)
    assert tag(World(tmp_path / "copy"), tmp_path / "two").run.content_hash == first.run.content_hash


def test_only_files_with_other_bytes_are_decoded(own: World, tmp_path: Path) -> None:
    table = tmp_path / "table"
    before = ledger(table, tag(own, table))
    tagged = sorted(track for track, row in before.items() if row["status"] == "tagged")
    _touch(own, 60)
    rows = {row["track_id"]: row for row in own.rows().to_pylist()}
    source, target = (own.folder / rows[track]["uri"] for track in tagged[:2])
    shutil.copy(source, target)
    second = tag(own, table)
    after = ledger(table, second)
    assert second.run.counts["decoded"] == 1
    assert after[tagged[1]]["status"] == "tagged"
    assert after[tagged[1]]["source_sha256"] == before[tagged[0]]["source_sha256"]
    assert all(after[track]["status"] == "carried" for track in tagged if track != tagged[1])


@pytest.mark.long
def test_a_refused_run_keeps_what_it_compared(own: World, tmp_path: Path) -> None:
    """The next run, on the same snapshot, does not read the files again."""
    table = tmp_path / "table"
    first = tag(own, table)
    _touch(own, 60)
    assert tag_code(own, table, "--max-reject-ratio", "0") == 3
    shutil.rmtree(table / "runs")
    second = tag(own, table)
    assert (second.run.counts["decoded"], _counter(second, "tracks_same_bytes")) == (0, 0)
    assert second.run.content_hash == first.run.content_hash


@pytest.mark.long
def test_another_trunk_and_a_second_table_decode_touched_files(own: World, tmp_path: Path) -> None:
    one, two, other = tmp_path / "one", tmp_path / "two", other_bundle(own, tmp_path)
    first = tag(own, one)
    embedded = first.run.counts["tagged"]
    _touch(own, 60)
    changed = tag(own, one, "--also", str(other.bundle), str(two))
    assert changed.run.counts["decoded"] >= embedded and changed.run.content_hash == first.run.content_hash
    assert tag_other(own, other, two).run.counts["decoded"] == 0
    _touch(own, 60)
    assert tag_other(own, other, one, "--accept-changes").run.counts["decoded"] >= embedded
