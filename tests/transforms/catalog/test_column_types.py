"""Types and separators that are found in the values of a table."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.catalog.importers.assignments import parse_assignment
from transforms.catalog.importers.column_types import ColumnSurvey, typed_reader
from transforms.catalog.importers.name_lists import NameList

DAY = datetime.date(2004, 5, 1)


def surveyed(values, name="x"):
    survey = ColumnSurvey(name=name)
    for value in values:
        survey.add(value)
    return survey


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        (["120", "98", ""], "integer", [120, 98, None]),
        (["-3", "0"], "integer", [-3, 0]),
        (["120.5", "98", "n/a"], "number", [120.5, 98.0, None]),
        (["120,5", "98"], "number", [120.5, 98.0]),
        (["1,234", "5,678"], "text", ["1,234", "5,678"]),
        (["007", "12"], "text", ["007", "12"]),
        (["1234567890123456", "12"], "text", ["1234567890123456", "12"]),
        (["120", "fast"], "text", ["120", "fast"]),
        (["1e5", "2e5"], "text", ["1e5", "2e5"]),
        (["2004-05-01", "2004/5/1", "-"], "date", [DAY, DAY, None]),
        (["01.05.2004"], "date", [DAY]),
        (["1/5/2004", "13/5/2004"], "date", [DAY, datetime.date(2004, 5, 13)]),
        (["5/1/2004", "5/13/2004"], "date", [DAY, datetime.date(2004, 5, 13)]),
        (["1/5/2004", "2/5/2004"], "text", ["1/5/2004", "2/5/2004"]),
        (["13/5/2004", "5/13/2004"], "text", ["13/5/2004", "5/13/2004"]),
        (["2004-05-01", "2004"], "text", ["2004-05-01", "2004"]),
        (
            ["2004-05-01T10:00:00Z", "2004-05-01 12:00:00+02:00"],
            "time",
            [datetime.datetime(2004, 5, 1, 10, tzinfo=datetime.UTC)] * 2,
        ),
        (["True", "false"], "boolean", [True, False]),
        (["yes", "no"], "text", ["yes", "no"]),
        (["", " "], "text", ["", " "]),
        (["-", "?"], "text", ["-", "?"]),
    ],
)
def test_types(values, kind, read):
    survey = surveyed(values)
    assert survey.type == kind and [survey.reader()(value) for value in values] == read


@pytest.mark.parametrize(
    "name", ["id", "ISRC", "track_id", "trackId", "Catalog No", "UPC", "cat-code", "barcode", "Label Code"]
)
def test_columns_that_are_named_like_an_identifier_stay_text(name):
    assert surveyed(["12", "13"], name).type == "text"


@pytest.mark.parametrize("name", ["bpm", "play_count", "video", "idle", "country", "width", "Videos"])
def test_other_columns_do_not(name):
    assert surveyed(["12", "13"], name).type == "integer"


@pytest.mark.parametrize(("wrong", "kind"), [(1, "integer"), (2, "text")])
def test_one_wrong_value_in_a_hundred_costs_the_value(wrong, kind):
    survey = surveyed([*map(str, range(100, 200 - wrong)), *["?!"] * wrong])
    assert survey.type == kind
    if kind == "integer":
        with pytest.raises(ValueError, match="is not a whole number"):
            survey.reader()("?!")


def test_a_reason_is_given_for_text_that_looks_like_something_else():
    assert surveyed(["1/5/2004", "2/5/2004"]).note == "day and month cannot be told apart"
    assert surveyed(["007"]).note == "leading zeros or long digits" and surveyed(["120"]).note == ""


def test_a_user_decides_otherwise():
    survey = surveyed(["1/5/2004", "007"])
    assert typed_reader("integer", survey)("007") == 7 and typed_reader("text", survey)("007") == "007"
    assert typed_reader("boolean", survey)("TRUE") is True and typed_reader("date", survey)("01.05.2004") == DAY
    with pytest.raises(ValueError, match="is not a number"):
        typed_reader("number", survey)("fast")


@given(st.lists(st.text(), max_size=30))
def test_every_value_is_read_or_refused(values):
    survey = surveyed(values)
    read = survey.reader()
    for value in values:
        try:
            found = read(value)
        except ValueError:
            assert len(values) >= 100
        else:
            assert survey.type != "text" or found == value


@given(st.lists(st.integers(-(10**14), 10**14), min_size=1))
def test_whole_numbers_come_back(numbers):
    survey = surveyed(map(str, numbers))
    assert survey.type == "integer" and [survey.reader()(str(number)) for number in numbers] == numbers


def listed(values, given=None):
    names = NameList(column="style", given=given)
    for value in values:
        names.survey(value)
    return names, [list(names.names(value)) for value in values]


@pytest.mark.parametrize(
    ("values", "form", "read"),
    [
        (["Rock; Pop", "Jazz"], "names separated by semicolons", [["Rock", "Pop"], ["Jazz"]]),
        (["Rock|Pop", "R&B, Soul"], "names separated by bars", [["Rock", "Pop"], ["R&B, Soul"]]),
        (["Rock, Pop", "Jazz"], "names separated by commas", [["Rock", "Pop"], ["Jazz"]]),
        (["Rock", "Hip-Hop/Rap"], "one name each", [["Rock"], ["Hip-Hop/Rap"]]),
        (["['Rock', \"R'n'B\"]", "[]"], "lists in brackets", [["Rock", "R'n'B"], []]),
        (['["Rock","Pop"]', "[Jazz, Soul]"], "lists in brackets", [["Rock", "Pop"], ["Jazz", "Soul"]]),
        ([*["Rock"] * 30, "Folk, World, & Country"], "one name each", [*[["Rock"]] * 30, ["Folk, World, & Country"]]),
        (["", " "], "one name each", [[], []]),
    ],
)
def test_separators_are_found_in_the_data(values, form, read):
    names, found = listed(values)
    assert (names.form, found) == (form, read)


def test_half_of_the_names_with_another_separator_are_a_warning():
    names, _ = listed(["Rock/Pop", "Folk/Blues", "Jazz", "Soul"])
    assert names.warning == "column style: 2 of 4 names contain '/': if it separates names, give --separator '/'"
    assert listed(["Rock/Pop", "Folk", "Jazz"])[0].warning is None
    names, found = listed(["Rock, Pop", "Folk, Blues"], given="|")
    assert found == [["Rock, Pop"], ["Folk, Blues"]] and "2 of 2 names contain ','" in names.warning
    assert listed(["Rock/Pop"], given="/")[0].warning is None


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("uri=FilePath", ("uri", "FilePath")),
        ("FilePath AS uri", ("uri", "FilePath")),
        ("File Path as uri", ("uri", "File Path")),
        ('"File as Path" AS "uri"', ("uri", "File as Path")),
        ("{a} as {b}  As  track_id", ("track_id", "{a} as {b}")),
        ("track_id={a}={b}", ("track_id", "{a}={b}")),
        ("note=sold as seen", ("note", "sold as seen")),
    ],
)
def test_columns_are_assigned_in_two_ways(text, pair):
    assert parse_assignment(text) == pair


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("FilePath=uri", ("uri", "FilePath")),
        ("uri=FilePath", ("uri", "FilePath")),
        ("uri AS FilePath", ("uri", "FilePath")),
        ("FilePath AS uri", ("uri", "FilePath")),
        ("Id=FilePath", ("Id", "FilePath")),
        ("uri=nowhere", ("uri", "nowhere")),
        ("track_id={FilePath}-{Id}", ("track_id", "{FilePath}-{Id}")),
    ],
)
def test_both_orders_are_recognised_by_the_columns_of_the_table(text, resolved):
    assert parse_assignment(text).resolved(["FilePath", "Id"]) == resolved


@pytest.mark.parametrize("text", ["uri", "=", "uri=", "AS uri", " AS "])
def test_what_is_no_assignment(text):
    with pytest.raises(ValueError, match="write COLUMN AS NAME or NAME=COLUMN"):
        parse_assignment(text)
