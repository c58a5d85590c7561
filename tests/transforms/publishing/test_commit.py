"""Audit and commit: nothing shows before the snapshot is there, and one run becomes one snapshot."""

import dataclasses
import datetime
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from transforms import storage
from transforms.formats.sealing import sealed_bytes
from transforms.publishing import commit as publishing
from transforms.publishing.audit import RaceLost, Refused
from transforms.publishing.commit import publish, read_run, unpublished_runs
from transforms.publishing.gates import GateLimits
from transforms.schemas.tables import TABLES
from transforms.table.layout import run_path
from transforms.table.reader import open_snapshot
from transforms.table.snapshots import Ids, Run, current_snapshot, snapshot_numbers
from transforms.table.versions import open_table
from transforms.tagging.bucket_files import write_table_file
from transforms.tagging.outcomes.prior import PriorOutcomes

IDS = Ids(feature_id="fs-1", embedding_id="em-1", tagger_id="tg-1", taxonomy_id="tx-1")


def _run(table: Path | str, run_id: str = "run-1", parent: int | None = None, **counts: int) -> Run:
    """A finished run of two tracks, one rejected, as the job leaves it."""
    open_table(str(table), 1)
    known = PriorOutcomes(root=str(table), parent=parent, ids=IDS, due_again=frozenset())
    rows = {"tracks": 1, "track_tags": 0, "embeddings": 1, "ledger": 2, "taxonomy": 0}
    files = [
        write_table_file(known, -1 if name == "taxonomy" else 0, name, _rows(name, count), run_id)
        for name, count in rows.items()
    ]
    total = {"catalog": 2, "tagged": 1, "carried": 0, "rejected": 1, "unavailable": 0, "decoded": 2, "reused": 0}
    run = Run(
        run_id=run_id,
        parent=parent,
        ids=IDS,
        counts=total | counts,
        reasons={"silent": 1},
        options={},
        files=tuple(files),
    )
    storage.create(storage.join(str(table), run_path(run_id)), sealed_bytes(run.to_json()))
    return run


def _one(kind: pa.DataType) -> Any:
    return "1" if pa.types.is_string(kind) else True if pa.types.is_boolean(kind) else 1


def _rows(name: str, count: int) -> pa.Table:
    values = {"embedding": [0.5], "top_tags": [], "parents": []}
    row = {field.name: values.get(field.name, _one(field.type)) for field in TABLES[name]}
    return pa.Table.from_pylist([row] * count, schema=TABLES[name])


HALF = GateLimits(max_reject_ratio=0.5)


def test_run_survives_its_file(table: Path) -> None:
    run = _run(table)
    assert read_run(str(table), "run-1") == run


def test_publish_commits_once_and_lists_files(table: Path) -> None:
    snapshot = publish(str(table), _run(table), HALF)
    assert snapshot == current_snapshot(str(table)) == publish(str(table), snapshot.run, HALF)
    assert snapshot_numbers(str(table)) == [1]
    listed = (table / "manifests" / "0000000001" / "ledger.txt").read_text().split()
    assert [Path(path).exists() for path in listed] == [True]
    assert unpublished_runs(str(table)) == []


def test_one_relative_path_in_two_folders_is_two_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert publish("table", _run(Path("table"), f"run-{name}"), HALF).run.run_id == f"run-{name}"


def test_too_many_rejects_publish_nothing(table: Path) -> None:
    with pytest.raises(
        Refused, match=r"1 of 2 tracks rejected, more than the fraction 0.1 .*silent 1.*--max-reject-ratio"
    ):
        publish(str(table), _run(table), GateLimits())
    assert current_snapshot(str(table)) is None and not (table / "current.json").exists()
    assert [run.run_id for run in unpublished_runs(str(table))] == ["run-1"]


def test_unavailable_tracks_have_a_gate_of_their_own(table: Path) -> None:
    with pytest.raises(Refused, match="1 of 2 tracks unavailable"):
        publish(str(table), _run(table, unavailable=1), HALF)


def test_a_reject_without_a_known_reason_publishes_nothing(table: Path) -> None:
    run = dataclasses.replace(_run(table), reasons={"unknown": 1})
    with pytest.raises(Refused, match="1 tracks failed for an unknown reason"):
        publish(str(table), run, HALF)


@pytest.mark.parametrize("counts", [{"catalog": 3}, {"tagged": 2}, {"tagged": 0, "carried": 2, "rejected": 0}])
def test_ids_that_do_not_balance_publish_nothing(table: Path, counts: dict[str, int]) -> None:
    with pytest.raises(Refused):
        publish(str(table), _run(table, **counts), GateLimits(max_reject_ratio=1))
    assert current_snapshot(str(table)) is None


def test_a_lost_or_short_file_publishes_nothing(table: Path) -> None:
    run = _run(table)
    path = table / run.files[0].path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Refused, match=f"{run.files[0].path}: {run.files[0].bytes - 1} bytes"):
        publish(str(table), run, HALF)


def flip(path: Path, at: int = -20) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def test_a_damaged_file_of_the_right_size_publishes_nothing(table: Path) -> None:
    run = _run(table)
    for file in run.files:
        before = (table / file.path).read_bytes()
        flip(table / file.path)
        with pytest.raises(Refused, match=rf"{file.path}: SHA-256 [0-9a-f]+ in storage, its writer says {file.sha256}"):
            publish(str(table), run, HALF)
        (table / file.path).write_bytes(before)
    assert publish(str(table), run, HALF).number == 1


def test_the_run_that_is_started_again_replaces_its_damaged_file(table: Path) -> None:
    run = _run(table)
    flip(table / run.files[0].path)
    (table / run_path("run-1")).unlink()
    assert publish(str(table), _run(table), HALF).run.files == run.files


def test_on_cloud_storage_the_store_s_checksums_are_compared_and_nothing_is_read(
    gcs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = (storage.join(gcs, name) for name in ("good", "bad"))
    runs = {root: _run(root) for root in (good, bad)}
    file = runs[bad].files[0]
    data = bytearray(storage.read_bytes(storage.join(bad, file.path)))
    data[-20] ^= 4
    storage.write_bytes(storage.join(bad, file.path), bytes(data))
    monkeypatch.setattr(storage, "open_input", lambda url: pytest.fail(f"{url} is read"))
    assert publish(good, runs[good], HALF).number == 1
    with pytest.raises(Refused, match=rf"{file.path}: CRC-32C [0-9a-f]{{8}} in storage, its writer says"):
        publish(bad, runs[bad], HALF)


def test_a_run_of_version_0_1_is_hashed(table: Path) -> None:
    """Its manifest has no checksums of blocks."""
    run = _run(table)
    old = dataclasses.replace(run, files=tuple(dataclasses.replace(file, checksums="") for file in run.files))
    flip(table / run.files[-1].path)
    with pytest.raises(Refused, match="SHA-256"):
        publish(str(table), old, HALF)


def test_the_second_of_two_runs_with_one_parent_is_refused(table: Path) -> None:
    publish(str(table), _run(table, "run-1"), HALF)
    with pytest.raises(RaceLost, match="snapshot 1 is already published"):
        publish(str(table), _run(table, "run-2"), HALF)
    assert snapshot_numbers(str(table)) == [1]


def test_a_run_from_before_the_oldest_snapshot_that_is_kept_is_refused(table: Path) -> None:
    publish(str(table), _run(table, "run-1"), HALF)
    publish(str(table), _run(table, "run-2", parent=1), HALF)
    (table / "snapshots" / "0000000001.json").unlink()
    with pytest.raises(RaceLost, match="snapshot 2 is already published"):
        publish(str(table), _run(table, "run-3"), HALF)
    assert snapshot_numbers(str(table)) == [2]


def test_file_lists_of_a_relative_table_are_absolute(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table.mkdir()
    monkeypatch.chdir(table.parent)
    publish(table.name, _run(Path(table.name)), HALF)
    listed = (table / "manifests" / "0000000001" / "ledger.txt").read_text().split()
    assert [Path(path).parts[: len(table.parts)] for path in listed] == [table.parts]


def test_of_many_publishers_one_wins_and_all_of_its_run_agree(table: Path) -> None:
    runs = [_run(table, f"run-{i % 4}") for i in range(4)] * 8

    def attempt(run: Run) -> str | None:
        try:
            return publish(str(table), run, HALF).run.run_id
        except RaceLost:
            return None

    with ThreadPoolExecutor(16) as pool:
        winners = set(pool.map(attempt, runs)) - {None}
    assert len(winners) == 1 and snapshot_numbers(str(table)) == [1]


def test_killed_before_the_commit_leaves_the_old_snapshot(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = publish(str(table), _run(table, "run-1"), HALF)
    second = _run(table, "run-2", parent=1)
    monkeypatch.setattr(publishing, "_commit", lambda table, run: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        publish(str(table), second, HALF)
    monkeypatch.undo()
    assert current_snapshot(str(table)) == first
    assert publish(str(table), second, HALF).number == 2


def test_killed_after_the_commit_hints_are_made_good(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(table)
    monkeypatch.setattr(publishing, "write_hints", lambda table, run: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        publish(str(table), run, HALF)
    monkeypatch.undo()
    assert snapshot_numbers(str(table)) == [1] and not (table / "current.json").exists()
    publish(str(table), run, HALF)
    assert (table / "current.json").exists() and (table / "manifests/0000000001/tracks.txt").exists()


def test_content_hash_does_not_see_names(table: Path) -> None:
    run = _run(table)
    renamed = dataclasses.replace(run, files=tuple(dataclasses.replace(f, path="x", sha256="y") for f in run.files))
    other = dataclasses.replace(run, files=tuple(dataclasses.replace(f, content="z") for f in run.files))
    assert renamed.content_hash == run.content_hash != other.content_hash


def test_content_hash_does_not_see_measurements_or_gates(table: Path) -> None:
    run = _run(table)
    measured = dataclasses.replace(run, measured={"core_seconds": {"embed": 1.5}}, gates={"files": {"passed": True}})
    assert measured.content_hash == run.content_hash
    assert Run.from_json(measured.to_json()) == measured != run


def test_a_run_of_an_earlier_version_has_no_measurements_and_no_gates(table: Path) -> None:
    run = _run(table)
    old = {name: value for name, value in run.to_json().items() if name not in ("measured", "gates")}
    assert Run.from_json(old) == run


def test_the_snapshot_records_the_gates_of_its_publisher(table: Path) -> None:
    gates = publish(str(table), _run(table), HALF).run.gates
    assert gates["rejected"] == {"value": 0.5, "limit": 0.5, "passed": True}
    assert gates["unavailable"] == {"value": 0.0, "limit": 0.0005, "passed": True}
    assert read_run(str(table), "run-1").gates == {}


def test_bucket_count_is_written_once(table: Path) -> None:
    assert [open_table(str(table), 7), open_table(str(table), 9)] == [7, 7]


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
def test_gate_checks_its_values(ratio: float) -> None:
    with pytest.raises(ValueError, match=str(ratio)):
        GateLimits(max_reject_ratio=ratio)


def test_times_of_snapshots_never_decrease(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Behind(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Behind":
            return cls(2001, 1, 1, tzinfo=tz)

    first = publish(str(table), _run(table, "run-1"), HALF)
    monkeypatch.setattr("transforms.publishing.commit.datetime.datetime", Behind)
    second = publish(str(table), _run(table, "run-2", parent=1), HALF)
    assert second.created == first.created > "2026"
    assert open_snapshot(str(table), as_of=second.created).manifest.number == 2
