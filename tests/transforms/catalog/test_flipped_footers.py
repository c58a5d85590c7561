"""One wrong bit anywhere in a footer: the catalog has all its rows or is refused, never fewer rows without a word."""

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms import storage
from transforms.catalog.problems import CatalogError
from transforms.catalog.reader import count_rows, list_shards, read_shard
from transforms.formats.parquet import parquet_table, read_parquet

ROWS = 121
LAYOUTS: dict[str, dict[str, object]] = {
    "one row group": {},
    "several row groups": {"row_group_size": 40},
    "page checksums": {"compression": "zstd", "write_page_checksum": True},
    "second page version": {"row_group_size": 50, "data_page_version": "2.0", "use_dictionary": False},
}
FEW = 75


def catalog_bytes(layout: str) -> bytes:
    ids = [f"track-{i:04d}" for i in range(ROWS)]
    tags = [[{"tag": "mood/calm", "weight": 0.5}] if i % 3 else None for i in range(ROWS)]
    years = pa.array([1990 + i % 20 for i in range(ROWS)], pa.int32())
    table = pa.table({"track_id": ids, "uri": [f"{i}.mp3" for i in ids], "title": ids, "year": years, "tags": tags})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **LAYOUTS[layout])
    return buffer.getvalue()


def flips(data: bytes, seed: int, count: int) -> Iterator[tuple[int, bytes]]:
    """(bit, the file with this bit of its footer flipped), for randomly chosen bits."""
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    bits = range(8 * start, 8 * len(data))
    for bit in random.Random(seed).sample(bits, min(count, len(bits))):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(changed)


def rows_delivered(url: str) -> int | None:
    """Number of rows as `tag` counts and reads them; None if the catalog is refused."""
    try:
        shards = list_shards(url)
        count = count_rows(shards)
        read = [part for shard in shards for part in read_shard(shard)]
    except (CatalogError, storage.StorageError):
        return None
    if any(problems for _, problems in read):
        return None
    delivered = sum(len(batch) for batch, _ in read)
    assert delivered == count
    return delivered


def check_flips(folder: Path, layout: str, count: int) -> int:
    """Checks flips of one catalog and returns how many were refused."""
    data, refused = catalog_bytes(layout), 0
    for bit, changed in flips(data, seed=len(layout), count=count):
        url = folder / "c.parquet"
        url.write_bytes(changed)
        rows = rows_delivered(str(url))
        assert rows in (ROWS, None), f"bit {bit} of the file: {rows} of {ROWS} rows"
        refused += rows is None
    return refused


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_flipped_bit_never_loses_rows_silently(tmp_path: Path, layout: str) -> None:
    assert 0 < check_flips(tmp_path, layout, FEW) < FEW


@pytest.mark.long
@pytest.mark.parametrize("layout", LAYOUTS)
def test_many_flipped_bits_never_lose_rows_silently(tmp_path: Path, layout: str) -> None:
    assert check_flips(tmp_path, layout, 3000) > 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_other_reader_refuses_a_short_column(tmp_path: Path, layout: str) -> None:
    """Part files, tables and splits go through the same two readers."""
    data, lost = catalog_bytes(layout), 0
    for bit, changed in flips(data, seed=1 + len(layout), count=FEW):
        (tmp_path / "c.parquet").write_bytes(changed)
        for read in (lambda: parquet_table(changed), lambda: read_parquet(str(tmp_path / "c.parquet"))):  # noqa: B023
            try:
                assert read().num_rows == ROWS, f"bit {bit} of the file"
            except (pa.ArrowException, OSError, UnicodeDecodeError):
                lost += 1
    assert lost
