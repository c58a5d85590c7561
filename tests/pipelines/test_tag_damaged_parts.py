"""`tag` over damaged part files: each damaged one is decoded again, and the table gets what it would have got."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.support.world import World, other_bundle, tag, tag_code, tag_other
from transforms.publishing.commit import read_run
from transforms.tagging import part_files


def _parts(table: Path) -> list[Path]:
    return sorted(table.glob("work/bucket=*/*.parquet"))


def _flip(path: Path, pick: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
    path.write_bytes(data)


def _swap(path: Path, pick: random.Random) -> None:
    path.write_bytes(next(other for other in _parts(path.parents[2]) if other != path).read_bytes())


DAMAGES: list[Callable[[Path, random.Random], object]] = [
    _swap,
    lambda path, pick: path.write_bytes(b""),
    lambda path, pick: path.write_bytes(path.read_bytes()[: pick.randrange(path.stat().st_size)]),
    lambda path, pick: path.write_bytes(bytes(path.stat().st_size)),
    _flip,
]


@pytest.mark.long
def test_damaged_part_files_of_both_tables_are_decoded_again(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is published at first: the rejects are too many. Then each part file but one is damaged."""
    other, one, two = other_bundle(world, tmp_path), tmp_path / "one", tmp_path / "two"
    flags = ("--chunk-tracks", "3", "--also", str(other.bundle), str(two))
    assert tag_code(world, one, *flags, "--max-reject-ratio", "0") == 3
    pick, damaged = random.Random(4), []
    for table in (one, two):
        for path, damage in zip(_parts(table)[1:], DAMAGES, strict=False):
            damage(path, pick)
            damaged.append(str(path))
    assert len(damaged) >= 2 * 4
    (run,) = (one / "runs").iterdir()
    before = read_run(str(one), run.stem)
    for folder in ("runs", "data"):
        shutil.rmtree(one / folder)
    part_files._warn_once.cache_clear()
    first = tag(world, one, *flags)
    assert first.run.counts["reused"] in (1, 3) and first.run.content_hash == before.content_hash
    warned = [record.args[0] for record in caplog.records if record.name == part_files.__name__]
    assert sorted(warned) == sorted(path for path in damaged if path.startswith(str(one))), "one warning each"
    second = tag_other(world, other, two)
    assert second.run.counts["decoded"] <= 3, "the first run has written the second table's part files of its chunks"
    assert main(["verify", str(one)]) == main(["verify", str(two)]) == 0
