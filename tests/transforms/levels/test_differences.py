"""Rows are compared value by value, whatever their type."""

import datetime
import decimal

import pyarrow as pa
import pytest

from transforms.levels.differences import changed_keys, differing_values

NAN = float("nan")
STRUCT = pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])


@pytest.mark.parametrize(
    ("type_", "old", "new", "differs"),
    [
        (pa.string(), ["a", "b", None, None, ""], ["a", "c", None, "", None], [0, 1, 0, 1, 1]),
        (pa.float32(), [1.0, NAN, 0.0, None], [1.0, NAN, -0.0, NAN], [0, 0, 1, 1]),
        (pa.float64(), [0.1, 0.2], [0.1, 0.3], [0, 1]),
        (pa.bool_(), [True, False, None], [True, True, False], [0, 1, 1]),
        (pa.list_(pa.float32()), [[1], [], None, [1, 2], [None]], [[1], None, None, [1, 3], [1]], [0, 1, 0, 1, 1]),
        (pa.list_(pa.float32()), [[1, 2], [3]], [[1], [3]], [1, 0]),
        (STRUCT, [{"a": 1, "b": ["x"]}, {"a": 1, "b": None}], [{"a": 1, "b": ["x"]}, {"a": 1, "b": []}], [0, 1]),
        (pa.list_(STRUCT), [[{"a": 1, "b": ["x", "y"]}], []], [[{"a": 1, "b": ["x", "z"]}], []], [1, 0]),
        (pa.decimal128(9, 2), [decimal.Decimal("1.10"), None], [decimal.Decimal("1.20"), None], [1, 0]),
        (pa.date32(), [datetime.date(2026, 1, 1)] * 2, [datetime.date(2026, 1, 1), None], [0, 1]),
        (pa.map_(pa.string(), pa.int32()), [[("a", 1)], [("a", 1)]], [[("a", 1)], [("a", 2)]], [0, 1]),
        (pa.list_(pa.int32(), 2), [[1, 2], [1, 2]], [[1, 2], [1, 3]], [0, 1]),
        (pa.dictionary(pa.int32(), pa.string()), ["a", "b"], ["a", "a"], [0, 1]),
        (pa.null(), [None], [None], [0]),
    ],
)
def test_values_differ(type_, old, new, differs):
    sides = [pa.array(values, type_) for values in (old, new)]
    assert differing_values(*sides).tolist() == [bool(one) for one in differs]
    apart = [pa.chunked_array([side.slice(0, 1), side.slice(1)]) for side in sides]
    assert differing_values(*apart).tolist() == [bool(one) for one in differs]


def tags(*rows):
    return pa.table(dict(zip(("track_id", "tag", "score"), map(list, zip(*rows, strict=True)), strict=True)))


def test_tracks_with_several_rows():
    old = tags(("a", "x", 1.0), ("a", "y", 2.0), ("b", "x", 3.0), ("c", "x", 4.0), ("d", "x", 5.0), ("d", "y", 6.0))
    new = tags(("b", "x", 3.5), ("d", "x", 5.0), ("a", "y", 2.0), ("a", "x", 1.0), ("e", "y", 1.0))
    found = changed_keys("track_tags", old, new)
    assert found is not None
    assert sorted(found.written.to_pylist()) == ["b", "d", "e"] and found.removed.to_pylist() == ["c"]
    same = changed_keys("track_tags", old, old.take(pa.array([5, 4, 3, 2, 1, 0])))
    assert same is not None and not len(same.written) and not len(same.removed)


def test_rows_that_cannot_be_told_apart():
    assert changed_keys("track_tags", tags(("a", "x", 1.0), ("a", "x", 2.0)), tags(("a", "x", 1.0))) is None
