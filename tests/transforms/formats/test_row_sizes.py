"""Sizes of rows that are not decoded yet are those of the decoded rows."""

import pyarrow as pa
import pytest

from transforms.formats.row_sizes import LIST_ITEM_BYTES, row_sizes, without_dictionaries

ENTRY = pa.dictionary(pa.int32(), pa.string())
ITEM = LIST_ITEM_BYTES
TEXTS = pa.array(["a", None, "ccc"])


def sizes(array: pa.Array) -> list[int]:
    return row_sizes(pa.record_batch([array], names=["a"])).tolist()


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (TEXTS, [1, 0, 3]),
        (TEXTS.dictionary_encode(), [1, 0, 3]),
        (TEXTS.cast(pa.string_view()), [1, 0, 3]),
        (pa.array([1, None], pa.int16()), [2, 2]),
        (pa.array([True]), [1]),
        (pa.array([None, None]), [0, 0]),
        (pa.array([["a", "bb"], None, []]), [2 * ITEM + 3, 0, 0]),
        (pa.array([["a", "bb"], None, ["c"]]).slice(1), [0, ITEM + 1]),
        (
            pa.array([["a"], ["bb", "c"]], pa.large_list(pa.dictionary(pa.int32(), pa.string()))),
            [ITEM + 1, 2 * ITEM + 3],
        ),
        (pa.array([[("a", 1)], [("bb", 2), ("c", 3)]], pa.map_(pa.string(), pa.int32())).slice(1), [2 * ITEM + 11]),
        (pa.array([{"a": "xy", "b": 1}, None], pa.struct([("a", pa.string()), ("b", pa.int64())])), [10, 8]),
        (pa.array([[1, 2], None], pa.list_(pa.int32(), 2)), [8 + 2 * ITEM, 8 + 2 * ITEM]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_sizes_of_rows(array: pa.Array, expected: list[int]) -> None:
    assert sizes(array) == expected


def test_types_without_dictionaries() -> None:
    text = pa.dictionary(pa.int32(), pa.string())
    nested = pa.struct([("l", pa.list_(text)), ("m", pa.map_(text, text)), ("f", pa.list_(text, 2))])
    plain = pa.struct(
        [("l", pa.list_(pa.string())), ("m", pa.map_(pa.string(), pa.string())), ("f", pa.list_(pa.string(), 2))]
    )
    assert without_dictionaries(nested) == plain
