"""Tables in a terminal: nothing is wider than it, nothing unreadably narrow, nothing cut without a word."""

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipelines.terminal.printing import value_lines, write_table
from pipelines.terminal.tables.layout import GAP, IN_SHELL, LEAST, MOST_LINES, chosen_columns, table_lines
from pipelines.terminal.tables.widths import char_width, padded, shortened, text_width, wrapped

LETTERS = "abc ä é 静か カナ 한글 ﬁ Ａ ー 。 – ½ 𝄞"
TEXT = st.text(st.sampled_from(LETTERS), max_size=60)


@pytest.mark.parametrize(
    ("text", "width"),
    [("", 0), ("calm", 4), ("静か", 4), ("e\u0301", 1), ("ｶﾅ", 2), ("한", 2), ("a\u200bb", 2), ("👩", 2)],
)
def test_widths_of_unicode(text, width):
    assert text_width(text) == width


@given(TEXT)
def test_widths_agree_with_another_implementation(text):
    assert text_width(text) == cell_len(text)


@given(TEXT, st.integers(1, 30))
def test_wrapped_lines_fit_and_lose_nothing(text, width):
    lines = wrapped(text, width)
    assert all(text_width(line) <= max(width, 2) for line in lines) and lines
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    if text_width(text) <= width:
        assert lines == [text]


@given(TEXT.filter(bool), st.integers(2, 30))
def test_shortened_and_padded_texts_have_their_width(text, width):
    assert text_width(shortened(text, width)) <= width and shortened(text, width).endswith("…")
    assert text_width(padded(text, 200, True)) == text_width(padded(text, 200, False)) == 200


@given(st.lists(st.tuples(st.integers(1, 200), st.booleans()), min_size=1, max_size=15), st.integers(20, 200))
def test_columns_follow_the_rules(columns, total):
    wanted, numeric = [width for width, _ in columns], [number for _, number in columns]
    chosen = chosen_columns(wanted, numeric, total)
    kept, widths = chosen.kept, chosen.widths
    assert kept == list(range(len(kept))) and len(kept) >= 1
    assert sum(widths) + len(GAP) * (len(widths) - 1) <= total
    least = [want if number else min(want, LEAST) for want, number in columns]
    if len(kept) > 1:
        assert all(low <= width <= want for low, width, want in zip(least, widths, wanted, strict=False))
    if sum(wanted) + len(GAP) * (len(wanted) - 1) <= total:
        assert widths == wanted
    if len(kept) < len(wanted):  # one more would not have fit
        assert sum(least[: len(kept) + 1]) + len(GAP) * len(kept) > total


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=4), st.integers(24, 120))
def test_no_line_is_wider_than_the_terminal_and_no_text_is_lost(rows, width):
    lines = list(table_lines(["first", "second", "third"], rows, [False] * 3, width))
    table = [line for line in lines if not line.startswith("(")]
    assert all(text_width(line) <= width for line in table)
    if len(table) == len(lines):
        assert sorted("".join(lines[2:]).replace(" ", "")) == sorted("".join(map("".join, rows)).replace(" ", ""))


def test_columns_that_do_not_fit_are_named_with_a_remedy():
    lines = list(value_lines(["track_id", "score", "title", "uri"], [["t1", 0.25, "x" * 30, "y" * 30]], 40))
    assert lines[:4] == [
        "track_id  score  title",
        "--------  -----  -----------------------",
        "t1         0.25  " + "x" * 23,
        "                 " + "x" * 7,
    ]
    assert lines[4] == (
        "(1 of 4 columns does not fit and is left out: uri; ask for fewer columns, or --format json prints all)"
    )


def test_the_shell_names_remedies_that_can_be_typed_there():
    row = ["t1", 0.25, "x" * 300, "y" * 30]
    *_, cells, columns = value_lines(["track_id", "score", "title", "uri"], [row], 40, IN_SHELL)
    assert cells.endswith("end with …: SELECT fewer columns, or substr(column, 200) for the rest)")
    assert columns.endswith("left out: uri; name the columns that you want after SELECT)")
    assert "--" not in IN_SHELL.rows + cells + columns


def test_a_long_cell_ends_and_says_so():
    lines = list(value_lines(["words"], [[" ".join(["word"] * 100)]], 24))
    assert len(lines) == 2 + MOST_LINES + 1 and lines[-2].endswith("…") and text_width(lines[-2]) <= 24
    assert lines[-1] == "(cells of more than 6 lines end with …: --format json prints them whole)"


def test_numbers_are_never_wrapped():
    lines = list(value_lines(["text", "number"], [["x" * 100, 12345678901234567890123]], 50))
    assert lines[2].endswith("12345678901234567890123") and all(len(line) <= 50 for line in lines)


def test_no_terminal_gets_every_cell_whole_whatever_the_environment_says(monkeypatch):
    rows = [[f"track-{i}", "静か " * 60, random.Random(i).random()] for i in range(3)]
    printed = []
    for columns in ("20", "300"):
        monkeypatch.setenv("COLUMNS", columns)
        out = io.StringIO()
        write_table(out, ["track_id", "title", "score"], rows)
        printed.append(out.getvalue())
    assert printed[0] == printed[1] and printed[0].count("静か") == 180 and len(printed[0].splitlines()) == 6


def test_every_character_has_a_width():
    assert {char_width(chr(code)) for code in range(0x11000)} == {0, 1, 2}
