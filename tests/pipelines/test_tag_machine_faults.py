"""`tag` where the machine ends decoders, and where a folder holds entries that cannot be looked at."""

import shutil
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.poisoned_tag import poisoned_sandbox
from tests.support.synth import encode, music
from tests.support.world import World, ledger, tag, tag_code
from transforms.extraction import chunk_extractor
from transforms.extraction.kill_history import KILLED


def _catalog(folder: Path, *uris: str) -> Path:
    ids, places = [f"t{number}" for number in range(len(uris))], [str(folder / uri) for uri in uris]
    pq.write_table(pa.table({"track_id": ids, "uri": places}), folder / "catalog.parquet")
    return folder / "catalog.parquet"


def test_an_entry_that_cannot_be_looked_at_is_that_entry_s_problem(world: World, tmp_path: Path) -> None:
    (tmp_path / "ok.flac").write_bytes(encode(music(3.0), format="FLAC"))
    (tmp_path / "loop.mp3").symlink_to("loop.mp3")
    (tmp_path / "ring-a.mp3").symlink_to("ring-b.mp3")
    (tmp_path / "ring-b.mp3").symlink_to("ring-a.mp3")
    (tmp_path / "gone.mp3").symlink_to("nowhere/at all.mp3")
    (tmp_path / "beneath.mp3").symlink_to("ok.flac/x.mp3")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.mp3"))
        uris = ("ok.flac", "loop.mp3", "socket.mp3", "beneath.mp3", "loop.mp3/x.mp3")
        rows = ledger(
            tmp_path / "table",
            tag(world, tmp_path / "table", "--allow-root", str(tmp_path), catalog=_catalog(tmp_path, *uris)),
        )
    assert [rows[f"t{number}"]["reason"] for number in range(5)] == [None, *["not_found"] * 4]


@pytest.fixture
def killed(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog of three tracks; the decoder of the second one is killed each time."""
    monkeypatch.setattr(chunk_extractor, "shared_sandbox", poisoned_sandbox)
    for name, content in (("a", b"good\n1"), ("b", b"sigkill"), ("c", b"good\n2")):
        (tmp_path / name).write_bytes(content)
    return _catalog(tmp_path, "a", "b", "c")


@pytest.mark.long
def test_killed_in_three_runs_is_remembered_with_its_history(world: World, killed: Path, tmp_path: Path) -> None:
    """The first two runs are not published: their part files tell the third one."""
    table = tmp_path / "table"
    assert [tag_code(world, table, "--allow-root", str(tmp_path), catalog=killed) for _ in range(2)] == [3, 3]
    snapshot = tag(world, table, "--allow-root", str(tmp_path), catalog=killed)
    row = ledger(table, snapshot)["t1"]
    assert (row["reason"], row["stage"], snapshot.run.counts["tagged"]) == ("crash", "decode", 2)
    assert row["detail"] == KILLED + "; ".join(f"run {n} killed (SIGKILL, SIGKILL, SIGKILL)" for n in (1, 2, 3))
    assert tag(world, table, "--allow-root", str(tmp_path), catalog=killed).run.counts["decoded"] == 0


@pytest.mark.long
def test_the_last_snapshot_tells_the_history_too(world: World, killed: Path, tmp_path: Path) -> None:
    table, reasons = tmp_path / "table", []
    for _ in range(3):
        reasons.append(
            ledger(
                table, tag(world, table, "--max-unavailable-ratio", "1", "--allow-root", str(tmp_path), catalog=killed)
            )["t1"]["reason"]
        )
        shutil.rmtree(table / "work", ignore_errors=True)
    assert reasons == ["unavailable", "unavailable", "crash"]


@pytest.mark.long
def test_another_version_of_the_source_begins_anew(world: World, killed: Path, tmp_path: Path) -> None:
    table = tmp_path / "table"
    assert [tag_code(world, table, "--allow-root", str(tmp_path), catalog=killed) for _ in range(2)] == [3, 3]
    (tmp_path / "b").write_bytes(b"sigkill\nanother version")
    row = ledger(
        table, tag(world, table, "--max-unavailable-ratio", "1", "--allow-root", str(tmp_path), catalog=killed)
    )["t1"]
    assert (row["reason"], row["detail"]) == ("unavailable", f"{KILLED}run 1 killed (SIGKILL, SIGKILL, SIGKILL)")


@pytest.mark.long
def test_killed_decoders_are_not_the_storage_s_fault(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty tracks in a row that cannot be read end the job; tracks whose decoders are killed do not."""
    monkeypatch.setattr(chunk_extractor, "shared_sandbox", poisoned_sandbox)
    monkeypatch.setattr(chunk_extractor, "FIRST_IN_A_ROW", 1)
    monkeypatch.setattr("transforms.extraction.slots._sleep", lambda seconds: None)
    for name in "ab":
        (tmp_path / name).write_bytes(b"sigkill\n" + name.encode())
    (tmp_path / "c").write_bytes(b"good")
    catalog, table = _catalog(tmp_path, "a", "b", "c"), tmp_path / "table"
    flags = ("--max-unavailable-ratio", "1", "--allow-root", str(tmp_path))
    rows = ledger(table, tag(world, table, *flags, catalog=catalog))
    assert [rows[f"t{number}"]["reason"] for number in range(3)] == ["unavailable", "unavailable", None]
