"""Arrow tables as bytes, and the digest of their content."""

import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.formats.arrow import concat, content_digest, from_ipc, split_by_bucket, to_ipc
from transforms.formats.hashing import bucket_of

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": st.none() | st.text(max_size=4),
            "numbers": st.none() | st.lists(st.none() | st.floats(width=32, allow_nan=False), max_size=3),
            "pair": st.none()
            | st.fixed_dictionaries({"tag": st.text(max_size=2), "score": st.none() | st.integers(0, 9)}),
            "flag": st.none() | st.booleans(),
        }
    ),
    max_size=6,
)
SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("numbers", pa.list_(pa.float32())),
        ("pair", pa.struct([("tag", pa.string()), ("score", pa.int64())])),
        ("flag", pa.bool_()),
    ]
)


@given(ROWS)
def test_round_trip(rows) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    assert from_ipc(to_ipc(table)).equals(table)


@given(ROWS, st.integers(0, 6))
def test_digest_does_not_see_chunks_or_slices(rows, cut: int) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    pieces = pa.concat_tables([table.slice(0, cut), table.slice(cut)])
    assert content_digest(pieces) == content_digest(table) == content_digest(from_ipc(to_ipc(table)))


@given(ROWS, ROWS)
def test_digest_differs_where_rows_differ(one, two) -> None:
    a, b = pa.Table.from_pylist(one, schema=SCHEMA), pa.Table.from_pylist(two, schema=SCHEMA)
    assert (content_digest(a) == content_digest(b)) == (a.to_pylist() == b.to_pylist())


def test_digest_survives_parquet(tmp_path) -> None:
    table = pa.Table.from_pylist([{"text": "a", "numbers": [1.5, None]}, {"flag": True}], schema=SCHEMA)
    pq.write_table(table, tmp_path / "t.parquet", compression="zstd")
    assert content_digest(pq.read_table(tmp_path / "t.parquet")) == content_digest(table)


CENT, EURO = decimal.Decimal("0.01"), decimal.Decimal("1.00")
UNUSUAL = {
    "decimal": pa.array([EURO, None, CENT], pa.decimal128(9, 2)),
    "decimals": pa.array([[EURO], None, [CENT]], pa.list_(pa.decimal128(9, 2))),
    "fixed binary": pa.array([b"ab", None, b"cd"], pa.binary(2)),
    "fixed list": pa.array([[1, 2], [5, 6], [3, 4]], pa.list_(pa.int32(), 2)),
    "large binary": pa.array([b"ab", None, b"c"], pa.large_binary()),
    "map": pa.array([[("a", 1)], None, [("b", None)]], pa.map_(pa.string(), pa.int32())),
    "uuid": pa.array([b"0" * 16, None, b"1" * 16], pa.uuid()),
    "json": pa.array(["{}", None, "1"], pa.json_()),
    "date": pa.array([1, None, 2], pa.date32()),
    "duration": pa.array([1, None, 2], pa.duration("s")),
    "half": pa.array([1.0, None, 2.0], pa.float16()),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_columns_of_any_type_have_one_digest(name: str, tmp_path) -> None:
    """A catalog may bring columns of every type that Parquet has."""
    table = pa.table({"c": UNUSUAL[name]})
    pq.write_table(table, tmp_path / "t.parquet")
    stored = pq.ParquetFile(tmp_path / "t.parquet").read()
    pieces = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    assert len({content_digest(t) for t in (table, stored, pieces, from_ipc(to_ipc(table)))}) == 1
    others = (table.take([0, 1, 0]), table.take([2, 1, 0]), table.take([0, 1, 1]), table.slice(0, 2))
    assert content_digest(table) not in {content_digest(other) for other in others}


def test_values_do_not_run_into_each_other() -> None:
    digests = {
        content_digest(pa.table({"t": values})) for values in (["ab", "c"], ["a", "bc"], ["abc", ""], ["", "abc"])
    }
    assert len(digests) == 4


def test_slices_travel_without_the_rest() -> None:
    table = pa.table({"n": list(range(100_000))})
    assert len(to_ipc(table.slice(5, 1))) < 1000
    assert concat([to_ipc(table.slice(0, 2)), to_ipc(table.slice(7, 1))])["n"].to_pylist() == [0, 1, 7]


def test_rows_are_split_by_bucket_and_keep_their_order():
    ids = [f"track-{number}" for number in range(20)]
    parts = dict(split_by_bucket(to_ipc(pa.table({"track_id": ids, "n": range(20)})), 3))
    found = {bucket: from_ipc(part)["track_id"].to_pylist() for bucket, part in parts.items()}
    assert found == {bucket: [i for i in ids if bucket_of(i, 3) == bucket] for bucket in range(3)}


def test_a_bucket_without_rows_is_not_there():
    assert list(split_by_bucket(to_ipc(pa.table({"track_id": pa.array([], pa.string())})), 3)) == []
    ((bucket, part),) = split_by_bucket(to_ipc(pa.table({"track_id": ["a"]})), 1000)
    assert bucket == bucket_of("a", 1000) and from_ipc(part).num_rows == 1
