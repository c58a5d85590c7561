"""Dates outside of Python's calendar are text as DuckDB prints it; all others stay what they are."""

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.formats.dates import beyond_calendar, date_texts, python_values

FIRST, LAST = -719_162, 2_932_896
"""Days from 1970-01-01 to the ends of Python's calendar."""


@given(st.lists(st.none() | st.integers(-2_100_000, 200_000_000), max_size=5))
def test_days_are_what_duckdb_prints(days):
    dates = pa.array(days, pa.int32()).cast(pa.date32())
    said = [
        duckdb.sql(f"SELECT (DATE '1970-01-01' + {day}::INTEGER)::VARCHAR").fetchall()[0][0]
        if day is not None
        else None
        for day in days
    ]
    assert date_texts(dates).to_pylist() == said


@given(st.lists(st.none() | st.integers(-(2**62), 2**62), max_size=5), st.sampled_from([None, "UTC"]))
def test_moments_are_values_inside_of_the_calendar_and_text_outside(moments, zone):
    found = python_values(pa.array(moments, pa.int64()).view(pa.timestamp("us", zone)))
    inside = [
        FIRST * 86_400 * 10**6 <= moment < (LAST + 1) * 86_400 * 10**6 for moment in moments if moment is not None
    ]
    assert [not isinstance(value, str) for value in found if value is not None] == inside
    assert [value is None for value in found] == [moment is None for moment in moments]


@pytest.mark.parametrize(("day", "beyond"), [(FIRST - 1, True), (FIRST, False), (LAST, False), (LAST + 1, True)])
def test_where_the_calendar_ends(day, beyond):
    assert beyond_calendar(day, pa.date32()) is beyond
    assert beyond_calendar(day * 86_400, pa.timestamp("s")) is beyond


def test_nested_dates():
    far, near = 10_000_000, 0
    dates = pa.array([far, near], pa.int32()).cast(pa.date32())
    rows = pa.StructArray.from_arrays([dates, pa.ListArray.from_arrays([0, 1, 2], dates)], names=["day", "days"])
    first, second = python_values(rows)
    assert first == {"day": "29349-01-26", "days": ["29349-01-26"]}
    assert second["day"].isoformat() == "1970-01-01" and second["days"] == [second["day"]]


def test_infinity():
    days = pa.array([2**31 - 1, -(2**31) + 1], pa.int32()).cast(pa.date32())
    assert python_values(days) == ["infinity", "-infinity"]
