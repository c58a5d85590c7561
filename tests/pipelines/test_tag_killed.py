"""`kill -9` in the middle of `tag`: the old snapshot stays whole, and no finished chunk is decoded again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.cli import main
from tests.support.world import World, ledger, make_world, tag
from transforms.formats.parquet import read_parquet
from transforms.table.snapshots import current_snapshot


def _start(world: World, table: Path, catalog: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "pipelines.cli",
        "tag",
        "--catalog",
        str(catalog),
        "--catalog-root",
        str(world.folder),
    ]
    flags = ["--model", str(world.bundle), "--table", str(table), "--max-reject-ratio", "0.9", "--chunk-tracks", "2"]
    return subprocess.Popen([*command, *flags, "--direct_num_workers=1"], start_new_session=True)


def _parts(table: Path) -> list[Path]:
    return sorted(table.glob("work/bucket=*/[0-9a-f]*.parquet"))


def _kill_after(process: subprocess.Popen[bytes], table: Path, parts: int) -> set[str]:
    """Kills the job once so many part files are there; ids of the tracks in them."""
    deadline = time.monotonic() + 240
    while len(_parts(table)) < parts:
        assert process.poll() is None and time.monotonic() < deadline, "the job ended before it could be killed"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return {track for path in _parts(table) for track in read_parquet(str(path))["track_id"].to_pylist()}


def test_killed_run_is_finished_by_the_next_without_decoding_again(tmp_path: Path) -> None:
    world, table = make_world(tmp_path / "w", 20), tmp_path / "table"
    rows = world.rows()
    old, grown = tmp_path / "old.parquet", tmp_path / "grown.parquet"
    pq.write_table(rows.slice(0, 4), old)
    pq.write_table(rows.slice(0, rows.num_rows - 3), tmp_path / "catalog.parquet")
    pq.write_table(pa.concat_tables([rows.slice(rows.num_rows - 3), rows.slice(0, rows.num_rows - 3)]), grown)
    first = tag(world, table, catalog=old)
    before = len(_parts(table))

    finished = _kill_after(_start(world, table, tmp_path / "catalog.parquet"), table, before + 3)
    finished -= set(ledger(table, first))
    assert current_snapshot(str(table)) == first
    assert main(["verify", str(table)]) == 0

    second = tag(world, table, catalog=grown)
    counts = second.run.counts
    assert len(finished) >= 4 and counts["reused"] == len(finished)
    assert counts["catalog"] == rows.num_rows
    known = finished | set(ledger(table, first))
    unread = [r for r in ledger(table, second).values() if r["stage"] == "read" and r["track_id"] not in known]
    assert counts["decoded"] == rows.num_rows - len(known) - len(unread)
    assert main(["verify", str(table)]) == 0
