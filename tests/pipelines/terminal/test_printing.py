import csv
import datetime
import io
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.terminal.comma_separated import write_csv
from pipelines.terminal.printing import (
    plain,
    plain_rows,
    unique_names,
    value_lines,
    write_json,
    write_table,
)


@pytest.mark.parametrize(
    "type_, value, expected",
    [
        (pa.float32(), 0.10000000149011612, 0.1),
        (pa.float64(), float("nan"), None),
        (pa.float32(), float("inf"), None),
        (pa.decimal128(38, 0), Decimal(2**70), 2**70),
        (pa.decimal128(10, 2), Decimal("1.50"), 1.5),
        (pa.timestamp("us"), datetime.datetime(2026, 1, 2, 3, 4, 5), "2026-01-02T03:04:05"),
        (pa.date32(), datetime.date(2026, 1, 2), "2026-01-02"),
        (pa.binary(), b"\x01\xff", "01ff"),
        (pa.list_(pa.float32()), [0.10000000149011612, None], [0.1, None]),
        (pa.struct([("x", pa.float32())]), {"x": 0.10000000149011612}, {"x": 0.1}),
        (pa.map_(pa.int32(), pa.string()), [(1, "a")], {"1": "a"}),
        (pa.list_(pa.string()), None, None),
        (pa.bool_(), True, True),
        (pa.month_day_nano_interval(), pa.MonthDayNano([1, 3, 1_500_000_000]), "P1M3DT1.5S"),
    ],
)
def test_values_become_what_json_knows(type_, value, expected):
    assert plain(type_)(value) == expected


def test_rows_come_batch_by_batch():
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    assert list(plain_rows(table.to_batches(2), table.schema)) == [[1, "x"], [2, None], [3, "z"]]


def test_nanoseconds_are_cut_to_microseconds():
    table = pa.table({"at": pa.array([1_000_001_999], pa.timestamp("ns"))})
    assert list(plain_rows(table.to_batches(), table.schema)) == [["1970-01-01T00:00:01.000001"]]


def test_names_that_repeat_are_told_apart():
    assert unique_names(["a", "a", "a_1", "a"]) == ["a", "a_1", "a_1_1", "a_2"]


VALUES = st.one_of(st.none(), st.text(), st.integers(), st.booleans(), st.lists(st.integers()))


@given(st.lists(st.tuples(VALUES, VALUES)))
def test_json_round_trips(rows):
    out = io.StringIO()
    write_json(out, ["a", "b"], rows)
    assert json.loads(out.getvalue()) == [{"a": a, "b": b} for a, b in rows]


@given(st.lists(st.tuples(st.text(st.characters(exclude_characters="\r\0")), st.integers())))
def test_csv_round_trips(rows):
    out = io.StringIO()
    write_csv(out, ["a", "b"], rows)
    parsed = list(csv.reader(io.StringIO(out.getvalue())))
    assert parsed == [["a", "b"], *([a, str(b)] for a, b in rows)]


def test_csv_tells_null_from_empty_text():
    out = io.StringIO()
    write_csv(out, ["a", "b"], [(None, ""), ('say "hi"', [1])])
    assert out.getvalue() == 'a,b\n,""\n"say ""hi""",[1]\n'


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_forty_rows_and_their_number():
    out = Terminal()
    assert write_table(out, ["n"], ([n] for n in range(100))) == 60
    assert out.getvalue().splitlines()[-1] == "(40 of 100 rows)" and len(out.getvalue().splitlines()) == 43


def test_a_pipe_gets_every_row_while_they_are_read():
    """Of a million rows, no more than the first ones are held: the reader is never far behind the writer."""
    out, read, most = io.StringIO(), 0, 0

    def rows():
        nonlocal read, most
        for read in range(5000):
            most = max(most, read - out.getvalue().count("\n") if read % 500 == 0 else 0)
            yield [read, "x" * (50 if read == 4000 else 5)]

    assert write_table(out, ["n", "text"], rows()) == 0
    lines = out.getvalue().splitlines()
    assert len(lines) == 5003 and lines[-1] == "(5,000 rows)" and most <= 1001
    assert lines[0] == "  n  text" and lines[2] == "  0  xxxxx" and lines[4002] == "4000  " + "x" * 50


def test_null_numbers_and_nested_values_in_a_table():
    lines = list(value_lines(["n", "tags"], [[1.5, [{"tag": "a/b", "score": 0.5}]], [None, "x\ny"]], 40))
    assert lines == ["  n  tags", "---  -------", "1.5  a/b 0.5", "  -  x y"]
