"""What `tag` counts before the job is what it publishes: lost rows and shrunken catalogs are refused."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pipelines.waves.catalog_rows
from pipelines.cli import main
from tests.support.world import World, tag_code
from transforms.catalog.reader import read_shard
from transforms.publishing.commit import unpublished_runs
from transforms.table.snapshots import current_snapshot

TRACKS = 40


def catalog(path: Path, tracks: int = TRACKS) -> Path:
    """Tracks whose audio is missing: rejected without any decoding. Two row groups."""
    ids = [f"track-{i:02d}" for i in range(tracks)]
    table = pa.table({"track_id": pa.array(ids, pa.string()), "uri": pa.array([f"no/{i}" for i in ids], pa.string())})
    pq.write_table(table, path, row_group_size=TRACKS // 2)
    return path


@pytest.fixture
def published(world: World, tmp_path: Path) -> Path:
    table = tmp_path / "table"
    assert run(world, table, catalog(tmp_path / "all.parquet")) == 0
    return table


def run(world: World, table: Path, path: Path, *flags: str) -> int:
    return tag_code(world, table, "--max-reject-ratio", "1", *flags, catalog=path)


def short_footers(data: bytes) -> Iterator[bytes]:
    """Files with one wrong bit in the footer that plain pyarrow reads with fewer rows and without an error."""
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for bit in range(8 * start, 8 * (len(data) - 8)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            file = pq.ParquetFile(pa.BufferReader(bytes(changed)))
            groups = range(file.num_row_groups)
            if sum(len(batch) for i in groups for batch in file.iter_batches(row_groups=[i])) < TRACKS:
                yield bytes(changed)
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            continue


def test_a_footer_that_lost_its_rows_publishes_nothing(
    world: World, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(next(short_footers((tmp_path / "all.parquet").read_bytes())))
    assert run(world, published, damaged, "--max-removed-ratio", "1") == 3
    assert f"{damaged}" in (error := capsys.readouterr().err) and "damaged" in error
    assert "Traceback" not in error
    snapshot = current_snapshot(str(published))
    assert snapshot is not None and (snapshot.number, snapshot.run.counts["catalog"]) == (1, TRACKS)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_text_that_shrinks_after_it_was_counted_publishes_nothing(
    world: World, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = tmp_path / f"c.{suffix}"
    header, row = (
        ("track_id,uri\n", "t{0},no/{0}\n") if suffix == "csv" else ("", '{{"track_id":"t{0}","uri":"{0}"}}\n')
    )
    url.write_text(header + "".join(row.format(i) for i in range(4)))

    def shrunken(shard):
        url.write_text(header + row.format(0))
        yield from read_shard(shard)

    monkeypatch.setattr(pipelines.waves.catalog_rows, "read_shard", shrunken)
    assert run(world, tmp_path / "table", url) == 1
    assert "1 rows were read, but 4 were counted at first" in capsys.readouterr().err


def test_a_runner_that_loses_rows_publishes_nothing_and_blocks_nothing(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    table, path = tmp_path / "table", catalog(tmp_path / "all.parquet")
    with monkeypatch.context() as patched:
        patched.setattr(
            pipelines.waves.catalog_rows, "read_shard", lambda shard: read_shard(shard) if shard.part.number else []
        )
        assert run(world, table, path) == 3
    error = capsys.readouterr().err
    assert f"the catalog had {TRACKS} rows when the job was launched, but the job read {TRACKS // 2}" in error
    assert unpublished_runs(str(table)) == [] and current_snapshot(str(table)) is None
    assert run(world, table, path) == 0


def test_a_shrunken_or_empty_catalog_is_refused_over_a_published_table(
    world: World, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = catalog(tmp_path / "few.parquet", TRACKS - 9)
    assert run(world, published, few) == 3
    assert "9 of 40 tracks of the last snapshot are not in the catalog" in capsys.readouterr().err
    assert run(world, published, catalog(tmp_path / "none.parquet", 0), "--max-removed-ratio", "1") == 3
    assert "the catalog has no rows" in capsys.readouterr().err
    assert main(["publish", str(published), "--max-removed-ratio", "0.3", "--max-reject-ratio", "1"]) == 0
    snapshot = current_snapshot(str(published))
    assert snapshot is not None and snapshot.run.gates["removed"]["value"] == 9 / TRACKS
