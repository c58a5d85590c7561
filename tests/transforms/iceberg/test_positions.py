"""Files of position deletes: what is in them, and reading them forward."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms import storage
from transforms.formats.parquet import CheckedFile, parquet_table
from transforms.iceberg import positions as module
from transforms.iceberg.positions import POSITIONS, PositionCursor, positions, write_positions


def parquet_file(values, **options):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"track_id": pa.array(values, pa.string())}), sink, row_group_size=3)
    return CheckedFile(pa.BufferReader(sink.getvalue()), **options)


@given(
    st.lists(st.sampled_from("abcde"), max_size=12),
    st.frozensets(st.sampled_from("abcde")),
    st.sampled_from([[], ["track_id"]]),
)
def test_positions_are_those_of_a_loop(values, deleted, dictionaries):
    wanted = pa.array(sorted(deleted), pa.string())
    found = positions(parquet_file(values, read_dictionary=dictionaries), "track_id", wanted)
    assert found.type == pa.int64()
    assert found.to_pylist() == [place for place, value in enumerate(values) if value in deleted]


def written(folder, found, number=1):
    path = folder / "deletes.parquet"
    arrays = [(url, pa.array(own, pa.int64())) for url, own in found]
    assert write_positions(path, arrays, number) == sum(len(own) for _, own in found)
    return path


def test_a_file_is_sorted_and_has_the_reserved_field_ids(tmp_path):
    path = written(tmp_path, [("/t/a", [1, 5]), ("/t/b", [2])])
    assert parquet_table(path.read_bytes()).to_pylist() == [
        {"file_path": "/t/a", "pos": 1}, {"file_path": "/t/a", "pos": 5}, {"file_path": "/t/b", "pos": 2},
    ]  # fmt: skip
    file = pq.ParquetFile(path)
    assert [int(field.metadata[b"PARQUET:field_id"]) for field in file.schema_arrow] == [2147483546, 2147483545]
    assert not any(field.nullable for field in file.schema_arrow) and file.schema_arrow.names == POSITIONS.names
    assert [column.column_index for column in file.metadata.row_group(0).sorting_columns] == [0, 1]


def test_the_number_of_the_snapshot_is_part_of_the_bytes(tmp_path):
    found = [("/t/a", [1, 5])]
    bytes_of = [written(tmp_path, found, number).read_bytes() for number in (1, 2, 1)]
    assert bytes_of[0] == bytes_of[2] != bytes_of[1]


FOUND = [("/t/a", [0, 1, 2]), ("/t/b", [7]), ("/t/c", list(range(11))), ("/t/e", [4, 5])]


@pytest.fixture
def small_groups(monkeypatch):
    monkeypatch.setattr(module, "POSITIONS_PER_GROUP", 4)


def test_row_groups_have_whole_data_files_as_far_as_they_fit(tmp_path, small_groups):
    file = pq.ParquetFile(written(tmp_path, FOUND))
    groups = [file.metadata.row_group(place).column(0).statistics for place in range(file.num_row_groups)]
    assert [(group.min, group.max) for group in groups] == [
        ("/t/a", "/t/b"), ("/t/c", "/t/c"), ("/t/c", "/t/c"), ("/t/c", "/t/c"), ("/t/e", "/t/e"),
    ]  # fmt: skip


@settings(max_examples=30)
@given(
    st.dictionaries(st.sampled_from("abcdefü"), st.lists(st.integers(0, 2**40), min_size=1, max_size=9, unique=True)),
    st.lists(st.sampled_from("abcdefüz"), unique=True),
)
def test_a_cursor_passes_over_files_that_nobody_asks_for(tmp_path_factory, found, asked):
    path = written(tmp_path_factory.mktemp("cursor"), [(url, sorted(found[url])) for url in sorted(found)])
    cursor = PositionCursor(CheckedFile(pa.BufferReader(path.read_bytes()), read_dictionary=["file_path"]))
    assert [cursor.take(url).to_pylist() for url in sorted(asked)] == [
        sorted(found.get(url, [])) for url in sorted(asked)
    ]


def test_a_cursor_reads_over_row_groups(tmp_path, small_groups):
    cursor = PositionCursor(CheckedFile(str(written(tmp_path, FOUND))))
    assert [cursor.take(f"/t/{name}").to_pylist() for name in "acde"] == [[0, 1, 2], list(range(11)), [], [4, 5]]


def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(storage.StorageError, match="let TMPDIR name a folder on another disk"):
        write_positions(tmp_path / "missing" / "file", [("/t/a", pa.array([1]))], 1)
