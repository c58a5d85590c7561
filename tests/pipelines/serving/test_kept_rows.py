"""Rows in memory: the same values as the snapshot has, in fewer bytes."""

import datetime
import gc

import pyarrow as pa
import pytest

from pipelines.serving.cache import ByteCache
from pipelines.serving.rows import BucketRows, KeptReader, rows_by_id
from pipelines.terminal.printing import plain_rows
from transforms.table.reader import open_snapshot

TAG = pa.struct([pa.field("tag", pa.string(), nullable=False), pa.field("score", pa.float32())])
COLUMNS = {
    "track_id": pa.array([f"t{n:03}" for n in range(200)]),
    "title": pa.array([f"Title {n}" if n % 7 else None for n in range(200)]),
    "country": pa.array([("FR", "JP", None)[n % 3] for n in range(200)]),
    "many": pa.array([f"value {n % 97}" for n in range(200)], pa.string()),
    "nothing": pa.nulls(200, pa.string()),
    "no_tags": pa.nulls(200, pa.list_(TAG)),
    "bpm": pa.array([None if n == 5 else n / 3 for n in range(200)], pa.float32()),
    "day": pa.array([datetime.date(2020, 1, 1) + datetime.timedelta(n) for n in range(200)]),
    "top_tags": pa.array(
        [None if n == 9 else [{"tag": f"mood/{i}", "score": i / 7} for i in range(n % 5)] for n in range(200)],
        pa.list_(pa.field("element", TAG, nullable=False)),
    ),
    "plain_list": pa.array([[n, None] for n in range(200)], pa.list_(pa.int16())),
    "words": pa.array([["a", None, "b"][: n % 4] for n in range(200)], pa.list_(pa.string())),
    "maybe": pa.array([None if n % 2 else {"tag": "x", "score": 1.0} for n in range(200)], TAG),
}
ROWS = pa.table(COLUMNS)


def test_columns_come_back_as_they_were():
    kept = BucketRows.of(ROWS)
    kept.table().validate(full=True)
    assert kept.table() == ROWS and kept.table().schema == ROWS.schema
    assert kept.table(["title", "track_id"]) == ROWS.select(["title", "track_id"])
    assert kept.nbytes < 0.7 * ROWS.nbytes and len(kept) == 200
    parts = pa.concat_tables([ROWS.slice(0, 120), ROWS.slice(120)])
    assert BucketRows.of(parts).table() == ROWS
    assert BucketRows.of(ROWS.slice(9, 1)).table() == ROWS.slice(9, 1)
    empty = BucketRows.of(ROWS.slice(0, 0))
    assert empty.table() == ROWS.slice(0, 0) and empty.row("t000") is None


def test_a_row_has_the_values_that_are_answered():
    kept = BucketRows.of(ROWS)
    plain = list(plain_rows(ROWS.to_batches(), ROWS.schema))
    for place in (0, 5, 9, 13, 199):
        expected = dict(zip(ROWS.column_names, plain[place], strict=True))
        assert kept.row(f"t{place:03}") == expected
        assert kept.row(f"t{place:03}", ["bpm", "title"]) == {name: expected[name] for name in ("bpm", "title")}
    assert [kept.row(one) for one in ("t", "t0105", "t200", "")] == [None] * 4


@pytest.mark.parametrize("name", ["tracks", "ledger"])
def test_rows_of_a_table_take_less_memory_than_in_the_snapshot(served, name):
    snapshot = open_snapshot(served)
    kept = KeptReader.of(snapshot, ByteCache(10**7))
    rows = snapshot.scan(name).to_pylist()
    found = rows_by_id(kept, name, [row["track_id"] for row in rows] + ["nobody"])
    assert list(found) == [row["track_id"] for row in rows]
    for row in rows:
        assert found[row["track_id"]].keys() == row.keys() and found[row["track_id"]]["track_id"] == row["track_id"]
    for bucket in range(kept.buckets):
        whole = snapshot.scan(name, bucket=bucket)
        assert kept.bucket_rows(name, bucket).table() == whole
        assert kept.bucket_rows(name, bucket).nbytes < whole.nbytes


def test_a_shared_value_is_made_once_and_goes_with_its_last_user():
    class Value:
        pass

    cache, made = ByteCache(10), []

    def make():
        made.append(Value())
        return made.pop()

    first = cache.shared("key", make)
    assert cache.shared("key", make) is first and cache.shared("other", make) is not first
    assert cache.size == 0 and len(cache._shared) == 1
    del first
    gc.collect()
    assert not cache._shared
