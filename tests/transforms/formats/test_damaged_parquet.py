"""Damaged structures of Parquet files: whoever looks at them ends with a typed error, and never with the process."""

import io
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.formats import parquet
from transforms.formats.parquet import ParquetError, open_parquet, parquet_bytes
from transforms.formats.parquet_structure import StructureError, page_sizes, read_chunks

ROWS = 121
IDS = [f"track-{i:04d}" for i in range(ROWS)]
WRITERS: dict[str, dict[str, object]] = {
    "pandas": {},
    "small pages": {"data_page_version": "2.0", "data_page_size": 256, "write_page_index": True, "row_group_size": 13},
    "deltas": {"use_dictionary": False, "column_encoding": {"track_id": "DELTA_BYTE_ARRAY"}, "row_group_size": 50},
    "spark": {"version": "1.0", "flavor": "spark", "compression": "snappy", "row_group_size": 40},
}


def written(writer: str) -> bytes:
    buffer = io.BytesIO()
    table = pa.table({"track_id": IDS, "title": [f"Title {i % 7}" for i in range(ROWS)], "year": range(ROWS)})
    pq.write_table(table, buffer, **WRITERS[writer])
    return buffer.getvalue()


def damaged(data: bytes, seed: int, start: int = 0) -> bytes:
    """The file with a few flipped bits or another byte, at or after `start`."""
    rng, changed = random.Random(seed), bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = rng.randrange(start, len(data))
        changed[place] = changed[place] ^ 1 << rng.randrange(8) if rng.random() < 0.7 else rng.randrange(256)
    return bytes(changed)


@pytest.mark.parametrize("writer", WRITERS)
def test_damaged_page_headers_have_one_kind_of_error(writer: str) -> None:
    data, refused = written(writer), 0
    for seed in range(250):
        stream = io.BytesIO(damaged(data, seed))
        try:
            for chunk in (chunk for group in read_chunks(stream) for chunk in group):
                assert all(type(page.size) is type(page.values) is int for page in page_sizes(stream, chunk))
        except StructureError:
            refused += 1
    assert refused


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 40)
    return parquet_bytes(pa.table({"track_id": IDS, "year": range(ROWS)}), name="tracks")


def test_damaged_statistics_end_no_process(groups: bytes, tmp_path: Path) -> None:
    """pyarrow 25 ends the process for about one of 500 flips if it is asked for a column's statistics."""
    footer = len(groups) - 8 - int.from_bytes(groups[-8:-4], "little")
    answers: set[object] = set()
    for seed in range(800):
        (tmp_path / "c.parquet").write_bytes(damaged(groups, seed, footer))
        try:
            with open_parquet(str(tmp_path / "c.parquet")) as file:
                answers.add(tuple(file.groups_with("track_id", ["track-0000", "track-0050"])))
        except ParquetError:
            answers.add("refused")
    assert {(0, 1), "refused"} <= answers


@pytest.mark.parametrize(
    "values, found",
    [
        (["track-0000"], [0]),
        (["track-0039", "track-0040"], [0, 1]),
        (["track-0039x"], []),
        (["a", "zebra"], []),
        (["track-0120"], [3]),
        ([], []),
    ],
)
def test_groups_are_found_by_their_bounds(groups: bytes, tmp_path: Path, values: list[str], found: list[int]) -> None:
    (tmp_path / "c.parquet").write_bytes(groups)
    with open_parquet(str(tmp_path / "c.parquet")) as file:
        assert file.groups_with("track_id", values) == found
