"""Single values of a catalog: years in all spellings of dates, and text that no encoding has."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.catalog.values import text, year

ADVICE = {
    "write all four digits, because the century is not stated": ("98", "'98", " 04 "),
    "write one of the two years": ("2003/2004", "1999;2003", "2003 – 2004"),
    "leave it empty if it is unknown": ("0", "soon", "12345", "199"),
}


@pytest.mark.parametrize(("advice", "values"), ADVICE.items())
def test_the_advice_fits_what_is_written(advice, values):
    for value in values:
        with pytest.raises(ValueError, match=f"is not a year from 1000 to 9999: {advice}$"):
            year(value)


SPELLINGS = [
    *("{d:%Y}", "{d:%Y-%m}", "{d:%Y-%m-%d}", "{d:%Y/%m/%d}", "{d:%Y.%m.%d}", "{d:%Y%m%d}", "{d:%d.%m.%Y}"),
    *("{d:%m/%d/%Y}", "{d:%d-%m-%Y}", "{d.day}.{d.month}.{d:%Y}", "{d:%m/%Y}", "{d:%d %B %Y}", "{d:%B %d, %Y}"),
    *("{d:%B %Y}", "{d:%d. %b %Y}", "{d:%d-%b-%Y}", "{d:%Y-%m-%dT%H:%M:%SZ}", "{d:%Y-%m-%d %H:%M:%S.000}"),
    *("c. {d:%Y}", "circa {d:%Y}", "©{d:%Y}", "({d:%Y})", "[{d:%Y}?]", "{d:%Y}.0", " {d:%Y} ", "{d:%Y}-00-00"),
]


@given(
    spelling=st.sampled_from(SPELLINGS),
    moment=st.datetimes(datetime.datetime(1000, 1, 1), datetime.datetime(9998, 12, 31)),
)
def test_the_year_of_a_date_in_any_spelling(spelling, moment):
    assert year(spelling.format(d=moment)) == moment.year


@pytest.mark.parametrize("value", [None, "", "  ", float("nan")])
def test_no_year(value):
    assert year(value) is None


@pytest.mark.parametrize(
    "value",
    [
        *("0", "98", "2003/2004", "2003-2004", "0000-00-00", "12345", "19x9", "soon", "1999;2003", "20049999", "-1999"),
        *(True, 0, 98, 10_000, 1999.5, float("inf"), "1e3", "0999-01-01", "1999 2000", "١٢٣"),
    ],
)
def test_texts_in_which_no_single_year_is_clear(value):
    with pytest.raises(ValueError, match=r"is not a year from 1000 to 9999: (leave it empty|write )"):
        year(value)


def test_dates_are_years():
    assert year(datetime.date(1999, 5, 1)) == year(datetime.datetime(1999, 5, 1)) == year(1999.0) == 1999


def test_half_a_character_is_named_and_is_not_called_an_encoding():
    with pytest.raises(ValueError, match=r"lone surrogate U\+D83D.*write the whole character") as caught:
        text("cut \ud83d")
    assert "UTF-8" not in str(caught.value)
    with pytest.raises(ValueError, match="not UTF-8: save the file as UTF-8"):
        text(b"caf\xe9".decode("utf-8", "surrogateescape"))
