"""`tag` in a process of its own among native poison pills: each costs its own track, and no process stays behind."""

import collections
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.waiting import wait_until
from tests.support.world import World, read_table
from tests.transforms.extraction.test_sandbox import REASONS, processes_with
from transforms.table.snapshots import Snapshot, current_snapshot

ROOT = Path(__file__).parents[2]
PILLS = (b"segfault", b"abort", b"endless loop", b"8 GB", b"descriptor leak", b"fork bomb")


@dataclasses.dataclass(frozen=True)
class Poisoned:
    """A catalog of so many tracks, so many pills of each kind among them; the folder and the finished job."""

    tracks: int
    each: int
    folder: Path
    done: subprocess.CompletedProcess


def _content(number: int, each: int) -> bytes:
    """What the file of a track holds: every 28th is a pill, one kind after the other."""
    pill = number % 28 == 14 and number < 28 * len(PILLS) * each
    return PILLS[number // 28 % len(PILLS)] if pill else b"good\n%d" % number


def _write_catalog(folder: Path, tracks: int, each: int) -> Path:
    ids = [f"track-{number:04d}" for number in range(tracks)]
    (folder / "audio").mkdir()
    for number, name in enumerate(ids):
        (folder / "audio" / name).write_bytes(_content(number, each))
    pq.write_table(pa.table({"track_id": ids, "uri": [f"audio/{name}" for name in ids]}), folder / "catalog.parquet")
    return folder / "catalog.parquet"


@pytest.fixture(scope="module", params=[(200, 1), pytest.param((1_000, 5), marks=pytest.mark.long)])
def poisoned(world: World, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Poisoned:
    """The job and its children have the folder in their environment."""
    (tracks, each), folder = request.param, tmp_path_factory.mktemp("poisoned")
    flags = [
        "--catalog",
        str(_write_catalog(folder, tracks, each)),
        "--model",
        str(world.bundle),
        "--table",
        str(folder / "table"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.poisoned_tag", "tag", *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    return Poisoned(tracks, each, folder, done)


def _snapshot(folder: Path) -> Snapshot:
    snapshot = current_snapshot(str(folder / "table"))
    assert snapshot is not None
    return snapshot


def test_the_job_ends_well(poisoned: Poisoned) -> None:
    assert poisoned.done.returncode == 0, poisoned.done.stderr
    counts, pills = _snapshot(poisoned.folder).run.counts, len(PILLS) * poisoned.each
    assert (counts["catalog"], counts["tagged"], counts["rejected"]) == (
        poisoned.tracks,
        poisoned.tracks - pills,
        pills,
    )


def test_every_pill_is_one_reject_with_its_reason(poisoned: Poisoned) -> None:
    rows = read_table(poisoned.folder / "table", _snapshot(poisoned.folder), "ledger").to_pylist()
    contents = [_content(int(row["track_id"].removeprefix("track-")), poisoned.each) for row in rows]
    assert [row["reason"] for row in rows] == [REASONS.get(content) for content in contents]
    assert collections.Counter(content for content in contents if content in PILLS) == dict.fromkeys(
        PILLS, poisoned.each
    )


def test_no_process_is_left_after_the_end(poisoned: Poisoned) -> None:
    wait_until(lambda: not processes_with(poisoned.folder), "no process is left")
