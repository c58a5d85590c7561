"""What `gc` removes and what it keeps."""

import datetime
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.cli import main
from tests.support.nightly import age, rows_of, tag_nightly
from transforms import storage
from transforms.formats.sealing import open_sealed
from transforms.maintenance import inventory
from transforms.maintenance.kinds import kind_of_path
from transforms.maintenance.retention import Retention
from transforms.publishing.audit import RaceLost
from transforms.publishing.commit import read_run, write_run
from transforms.schemas.tables import TABLES
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import Ids, Run, Snapshot, listed_numbers
from transforms.tagging.part_files import write_part

DAY = 86_400.0
FIRST = {"a": "1", "b": "1", "bad-c": "1", "d": "1"}
SECOND = {"a": "1", "b": "2", "bad-c": "1", "d": "1", "e": "1"}


def gc(table, *flags):
    return main(["gc", str(table), *flags])


def names(table, *folders):
    """Paths of all files below these folders, relative to the table."""
    paths = (path for folder in folders for path in (table / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(table)) for path in paths}


@pytest.fixture(scope="module")
def nights(tmp_path_factory, bundle):
    """Two nights, ten days ago."""
    table = tmp_path_factory.mktemp("nights") / "table"
    for catalog in (FIRST, SECOND):
        tag_nightly(str(table), catalog, bundle)
    age(table, 10 * DAY)
    return table


@pytest.fixture
def table(nights, copied):
    return copied(nights, "table")


def snapshots(*ages_days):
    run = Run(run_id="r", parent=None, ids=Ids(feature_id="", embedding_id="", tagger_id="", taxonomy_id=""), counts={},
              reasons={}, options={}, files=())  # fmt: skip
    start = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
    return [
        Snapshot(number=i + 1, created=(start - datetime.timedelta(days=days)).isoformat(), run=run)
        for i, days in enumerate(ages_days)
    ], start.timestamp()


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        ({}, {1, 2, 3, 4}),
        ({"keep_last": 1}, {4}),
        ({"keep_last": 3}, {2, 3, 4}),
        ({"keep_last": 9}, {1, 2, 3, 4}),
        ({"keep_days": 0}, {4}),
        ({"keep_days": 5}, {3, 4}),  # 5 days ago the newest one was number 3
        ({"keep_days": 7.5}, {2, 3, 4}),
        ({"keep_last": 2, "keep_days": 7.5}, {2, 3, 4}),
        ({"keep_last": 3, "keep_days": 0}, {2, 3, 4}),
    ],
)
def test_retention(flags, kept):
    found, now = snapshots(9, 8, 7, 2)
    assert Retention(**flags).retained(found, now) == kept


@given(st.lists(st.floats(0, 50), min_size=1, max_size=8), st.none() | st.integers(1, 9), st.none() | st.floats(0, 60))
def test_what_was_the_newest_in_the_last_days_is_retained(ages, keep_last, keep_days):
    found, now = snapshots(*sorted(ages, reverse=True))
    kept = Retention(keep_last=keep_last, keep_days=keep_days).retained(found, now)
    assert found[-1].number in kept and kept == set(range(min(kept), len(found) + 1))
    if keep_days is not None:
        moment = now - keep_days * DAY
        earlier = [one.number for one in found if datetime.datetime.fromisoformat(one.created).timestamp() <= moment]
        assert not earlier or max(earlier) in kept or max(earlier) == 0


@pytest.mark.parametrize("wrong", [{"keep_last": 0}, {"keep_days": -1.0}, {"keep_days": float("nan")}])
def test_retention_has_limits(wrong):
    with pytest.raises(ValueError):
        Retention(**wrong)


def test_without_apply_nothing_changes(table, capsys):
    before = {path: path.stat().st_mtime_ns for path in table.rglob("*")}
    capsys.readouterr()
    assert gc(table, "--keep-last", "1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["applied"], found["retained"], found["retired"]) == (False, [2], [1])
    assert found["removed"]["snapshots"]["files"] == 1 and found["removed"]["parts"]["files"] > 0
    assert before == {path: path.stat().st_mtime_ns for path in table.rglob("*")}


def test_the_files_of_a_retired_snapshot_stay_for_its_readers(table, monkeypatch, capsys):
    old = open_snapshot(str(table), 1)
    rows = {name: old.scan(name) for name in ("tracks", "track_tags", "embeddings", "ledger", "taxonomy")}
    data = names(table, "data")
    assert gc(table, "--keep-last", "1", "--older-than", "0s", "--apply") == 0
    assert listed_numbers(str(table)) == [2] and names(table, "data") == data
    assert gc(table, "--keep-last", "1", "--older-than", "0s", "--apply") == 0
    assert {name: old.scan(name) for name in rows} == rows  # an hour has not passed
    age(table, inventory.READER_GRACE_S + 60)
    assert gc(table, "--keep-last", "1", "--older-than", "0s", "--apply") == 0
    assert names(table, "data") == {file.path for file in open_snapshot(str(table)).manifest.run.files}
    assert names(table, "retired") == set() and len(names(table, "runs")) == 1
    assert names(table, "manifests") == {f"manifests/0000000002/{name}.txt" for name in TABLES if name != "neighbours"}
    assert all(list(run.rglob("*.parquet")) for run in (table / "data").iterdir())  # no empty folder is left
    capsys.readouterr()
    assert main(["verify", str(table), "--all"]) == 0, capsys.readouterr().out


def test_older_than_keeps_what_is_young(table):
    age(table / "work", -9.5 * DAY)
    parts = names(table, "work")
    assert gc(table, "--older-than", "7d", "--apply") == 0 and names(table, "work") == parts
    assert gc(table, "--older-than", "6h", "--apply") == 0 and names(table, "work") == set()


def test_the_night_after_decodes_nothing(table, bundle, capsys):
    assert gc(table, "--keep-last", "1", "--apply") == 0
    assert names(table, "work") == set()  # the snapshot has all of them
    snapshot, decoded = tag_nightly(str(table), SECOND, bundle)
    assert decoded == set() and snapshot.number == 3
    assert snapshot.run.content_hash == open_snapshot(str(table), 2).manifest.run.content_hash


def test_a_rejected_track_is_remembered(table, bundle):
    assert gc(table, "--apply") == 0
    snapshot, decoded = tag_nightly(str(table), SECOND, bundle)
    assert decoded == set() and snapshot.run.counts["rejected"] == 1


def parts_of(table, catalog, bundle):
    """Writes part files of these tracks ten days ago, as a run does that never publishes."""
    import pyarrow as pa

    from tests.support.nightly import heard
    from transforms.formats.hashing import bucket_of
    from transforms.schemas.tables import PART

    written = set()
    for row in rows_of(catalog).to_pylist():
        found = heard(row["track_id"], row["source_version"], bundle.embedding_dim)
        rows = pa.Table.from_pylist([found], PART)
        url = write_part(str(table), bucket_of(row["track_id"], 2), rows, bundle.embedding_id)
        written.add(url.removeprefix(f"{table}/"))
    age(table / "work", 10 * DAY)
    return written


def test_embeddings_of_a_trunk_to_come_stay_while_the_sources_are_the_same(table, next_bundle):
    assert gc(table, "--apply") == 0
    current = parts_of(table, SECOND, next_bundle)
    outdated = parts_of(table, {"b": "1"}, next_bundle)
    gone = parts_of(table, {"z": "1"}, next_bundle)
    assert names(table, "work") == current | outdated | gone
    assert gc(table, "--apply") == 0
    rejects = {path for path in current if path not in names(table, "work")}
    assert names(table, "work") == current - rejects and len(rejects) == 1  # `bad-c`: its reject is in the ledger
    snapshot, decoded = tag_nightly(str(table), SECOND, next_bundle)
    assert decoded <= {"bad-c"} and snapshot.number == 3


def test_embeddings_of_a_trunk_that_was_replaced_go(table, bundle, next_bundle):
    tag_nightly(str(table), SECOND, next_bundle)
    age(table, 10 * DAY)
    parts_of(table, SECOND, bundle)
    assert gc(table, "--keep-last", "1", "--apply") == 0 and names(table, "work") == set()
    age(table, 20 * DAY)
    assert gc(table, "--keep-last", "1", "--apply") == 0  # now its snapshots are gone, too
    parts_of(table, SECOND, bundle)
    assert gc(table, "--apply") == 0 and names(table, "work") == set()


def test_what_a_rollback_undid_can_come_back(table, bundle, next_bundle):
    third, _ = tag_nightly(str(table), {**SECOND, "f": "1"}, next_bundle)
    assert main(["rollback", str(table), "2"]) == 0
    age(table, 10 * DAY)
    assert gc(table, "--apply") == 0
    again, decoded = tag_nightly(str(table), {**SECOND, "f": "1"}, next_bundle)
    assert decoded <= {"bad-c"} and again.run.content_hash == third.run.content_hash


def test_the_work_of_a_run_that_was_not_published_stays(table, bundle):
    parts = parts_of(table, {"new-1": "1", "new-2": "1"}, bundle)
    age(table / "work", -10 * DAY - 600)  # written after the last night was published
    assert gc(table, "--older-than", "0s", "--apply") == 0
    assert names(table, "work") == parts
    _, decoded = tag_nightly(str(table), {**SECOND, "new-1": "1", "new-2": "1"}, bundle)
    assert decoded == set()


def test_without_a_snapshot_all_work_stays(table, bundle):
    (table / "snapshots" / "0000000001.json").unlink()
    (table / "snapshots" / "0000000002.json").unlink()
    parts = names(table, "work")
    assert gc(table, "--apply") == 0 and names(table, "work") == parts


@pytest.mark.parametrize(("parent", "stays"), [(2, True), (1, False)])
def test_a_finished_run_stays_while_it_can_be_published(table, parent, stays):
    run = read_run(str(table), open_snapshot(str(table), 2).manifest.run.run_id)
    other = Run(**{**run.__dict__, "run_id": "run-00000000000000aa", "parent": parent, "files": run.files[:1]})
    path = table / run.files[0].path.replace(run.run_id, other.run_id)
    path.parent.mkdir(parents=True)
    path.write_bytes((table / run.files[0].path).read_bytes())
    write_run(str(table), Run(**{**other.__dict__, "files": (_moved(run.files[0], run.run_id, other.run_id),)}))
    age(table / "runs", 10 * DAY)
    age(table / "data" / f"run={other.run_id}", 10 * DAY)
    assert gc(table, "--apply") == 0
    assert path.exists() == (table / "runs" / f"{other.run_id}.json").exists() == stays


def _moved(file, old, new):
    return type(file)(**{**file.__dict__, "path": file.path.replace(old, new)})


STRANGERS = (
    "README.txt", "data/notes.parquet", "data/run=run-1/bucket=0000/mine.parquet", "work/bucket=0000/mine.parquet",
    "work/0123456789abcdef01234567.parquet", "runs/notes.txt", "runs/mine.json", "snapshots/old.json",
    "manifests/0000000001/notes.md", "launches/20251124T010000.json", "leases/notes", "log/mine.json", ".partial-mine",
    "data/.partial-0123", "retired/notes.json", "data/run=x/bucket=0000/tracks-0123456789abcdef.parquet.bak",
)  # fmt: skip


def test_what_is_not_recognised_is_never_removed(table):
    for name in STRANGERS:
        (table / name).parent.mkdir(parents=True, exist_ok=True)
        (table / name).write_bytes(b"mine")
    age(table, 100 * DAY)
    assert gc(table, "--keep-last", "1", "--older-than", "0s", "--apply") == 0
    age(table, 100 * DAY)
    assert gc(table, "--keep-last", "1", "--older-than", "0s", "--apply") == 0
    assert [name for name in STRANGERS if not (table / name).exists()] == []
    assert [kind_of_path(name) for name in STRANGERS if name != "runs/mine.json"] == [None] * (len(STRANGERS) - 1)


def test_every_file_of_a_table_is_recognised(table):
    gc(table, "--keep-last", "1", "--apply")
    kinds = {name: kind_of_path(name) for name in names(table, ".")}
    assert None not in kinds.values() and {"data", "runs", "snapshots", "lists", "hints", "log"} <= set(kinds.values())


def test_temporary_files_of_killed_programs_go(table):
    old = table / "data" / ".partial-0123456789abcdef"
    young = table / "work" / ".partial-fedcba9876543210"
    old.write_bytes(b"x")
    age(table / "data", 8 * DAY)
    young.write_bytes(b"x")
    assert gc(table, "--apply") == 0
    assert not old.exists() and young.exists()


def test_receipts_of_launches_that_were_overtaken_go(table):
    for name in ("launch-0000000001-000001.begun", "launch-0000000002-000001.begun", "launch-0000000002-000001.json"):
        (table / "launches" / name).write_bytes(b"{}")
    age(table / "launches", 8 * DAY)
    assert gc(table, "--apply") == 0
    assert names(table, "launches") == {f"launches/launch-0000000002-000001.{end}" for end in ("begun", "json")}


def test_a_damaged_snapshot_stops_it_before_anything_is_removed(table, capsys):
    path = table / "snapshots" / "0000000001.json"
    path.write_bytes(path.read_bytes().replace(b'"number": 1', b'"number": 7'))
    before = names(table, "data", "work", "runs", "snapshots")
    assert gc(table, "--keep-last", "1", "--apply") == 1
    assert "0000000001.json was changed" in capsys.readouterr().err
    assert names(table, "data", "work", "runs", "snapshots") == before


def test_the_files_of_a_run_with_a_damaged_manifest_stay(table):
    run = open_snapshot(str(table), 1).manifest.run
    for number in (1,):
        (table / "snapshots" / f"{number:010d}.json").unlink()
    (table / "runs" / f"{run.run_id}.json").write_text("{")
    assert gc(table, "--apply") == 0
    assert all((table / file.path).exists() for file in run.files)


def test_the_log_tells_what_was_removed(table):
    before = names(table, "data", "work", "runs", "snapshots", "manifests", "launches", "iceberg")
    assert gc(table, "--keep-last", "1", "--apply") == 0
    records = [open_sealed(path.read_bytes()).fields for path in sorted((table / "log").iterdir())]
    assert [one["what"] for one in records] == ["begin", "remove", "remove", "remove", "end"]
    listed = set(itertools.chain(*([path for path, _ in one["files"]] for one in records if one["what"] == "remove")))
    assert listed == before - names(table, "data", "work", "runs", "snapshots", "manifests", "launches", "iceberg")
    assert records[0]["retained"] == [2] and records[0]["keep_last"] == 1
    assert {kind: one["files"] for kind, one in records[-1]["removed"].items()}.keys() == {
        "snapshots",
        "iceberg",
        "parts",
    }


def test_a_run_in_progress_keeps_everything(table, bundle, capsys, monkeypatch):
    """`gc` in the middle of a run: between its plan and its assembly."""
    from tests.support import nightly

    assembled, codes = nightly.assembled, []

    def meanwhile(*words):
        codes.append(gc(table, "--keep-last", "1", "--older-than", "0s", "--apply"))
        return assembled(*words)

    monkeypatch.setattr(nightly, "assembled", meanwhile)
    before = names(table, "data", "work", "snapshots")
    snapshot, decoded = tag_nightly(str(table), {**SECOND, "new": "1"}, bundle)
    assert set(codes) == {4} and decoded == {"new"} and snapshot.number == 3
    assert before < names(table, "data", "work", "snapshots")
    assert "tag (process" in capsys.readouterr().err


def test_a_run_that_was_planned_while_gc_ran_plans_again_or_finds_its_parent(table, bundle, monkeypatch):
    from tests.support import nightly

    held, seen = nightly.held_for_run, []

    def late(*words, **flags):
        if not seen:
            seen.append(tag_nightly_of(table, bundle))
            assert gc(table, "--keep-last", "1", "--apply") == 0
        return held(*words, **flags)

    def tag_nightly_of(table, bundle):
        seen.append(None)
        return tag_nightly(str(table), FIRST, bundle)

    monkeypatch.setattr(nightly, "held_for_run", late)
    with pytest.raises(RaceLost, match="planned on snapshot 2"):
        tag_nightly(str(table), SECOND, bundle)
    snapshot, _ = tag_nightly(str(table), SECOND, bundle)
    assert snapshot.number == 4


def test_on_cloud_storage(gcs, bundle, monkeypatch, capsys):
    monkeypatch.setattr(inventory, "READER_GRACE_S", 0.0)
    published_s = inventory.published_s  # times of snapshots have no fractions of a second
    monkeypatch.setattr(inventory, "published_s", lambda snapshot: published_s(snapshot) + 1)
    root = storage.join(gcs, "table")
    for catalog in (FIRST, SECOND):
        tag_nightly(root, catalog, bundle)
    for _ in range(2):
        assert gc(root, "--keep-last", "1", "--older-than", "0s", "--apply") == 0
    assert listed_numbers(root) == [2]
    stored = {file.url.removeprefix(root + "/") for file in storage.list_files(root)}
    assert {name for name in stored if name.startswith("data/")} == {
        file.path for file in open_snapshot(root).manifest.run.files
    }
    assert not any(name.startswith(("work/", "retired/", "leases/")) for name in stored)
    assert tag_nightly(root, SECOND, bundle)[1] == set()
    capsys.readouterr()
    assert main(["verify", root, "--all"]) == 0
