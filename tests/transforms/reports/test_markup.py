"""Every text of a page is escaped, and a page loads nothing."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.outlines import PageOutline
from transforms.reports.dots import Dots, dot_plot
from transforms.reports.markup import Html, element, escaped
from transforms.reports.page import html_page
from transforms.reports.parts import barred_number, captioned, fact_list, folded, html_table, tile_row

TEXTS = st.text(max_size=40) | st.sampled_from(
    ["<script>alert(1)</script>", '" onload="x', "a&lt;b", "</style>", "\x00"]
)


def page_of(text: str) -> str:
    """A page that has the text in every part of the kit."""
    return html_page(
        text,
        [
            html_table([text], [[text, text]], text),
            tile_row([(text, text, text)]),
            fact_list({text: text}),
            captioned(dot_plot([Dots(text, 0.1, 0.2, text)], text), text),
            folded(text, element("p", barred_number(text, 0.5), class_=text)),
        ],
    )


PLAIN = PageOutline(page_of("x"))


@given(TEXTS)
@example("<b>")
@example("\ud800")
def test_no_text_changes_the_structure_of_a_page(text: str) -> None:
    outline = PageOutline(page_of(text))
    assert outline.open == [] and outline.elements == PLAIN.elements
    assert [(tag, name) for tag, name, _ in outline.attributes] == [(tag, name) for tag, name, _ in PLAIN.attributes]


@given(TEXTS)
def test_a_reader_sees_the_text_and_the_names_of_its_control_characters(text: str) -> None:
    named = "".join(f"\\u{ord(c):04x}" if _is_control(c) else c for c in text)
    assert PageOutline(element("p", text, title=text)).text == named
    assert PageOutline(element("p", "", title=text)).attributes == [("p", "title", named)]
    page_of(text).encode()


def _is_control(character: str) -> bool:
    code = ord(character)
    if code in (0x09, 0x0A):
        return False
    marks = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
    return code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or code in marks


def test_markup_is_not_escaped_twice() -> None:
    made = element("b", "a & b")
    assert made == "<b>a &amp; b</b>" and escaped(made) is made
    assert element("p", made, "<i>") == "<p><b>a &amp; b</b>&lt;i&gt;</p>"
    assert not isinstance("".join([made]), Html), "what plain strings make is escaped again"


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    page = page_of("x")
    assert not {"script", "link", "img", "iframe", "object"} & set(PageOutline(page).elements)
    assert not re.search(r"https?:|@import|url\(|src=|href=", page)


@pytest.mark.parametrize("before", [0.0, 0.31, 1.0])
def test_a_dot_is_where_its_share_is(before: float) -> None:
    plot = PageOutline(dot_plot([Dots("mood/calm", before, 0.5, ""), Dots("b", 0, 1, "")], "Prevalence"))
    places = [float(value) for tag, name, value in plot.attributes if (tag, name) == ("circle", "cx")]
    left, right = places[2:]
    assert places[0] == pytest.approx(left + (right - left) * before, abs=0.1)
    assert places[1] == pytest.approx((left + right) / 2, abs=0.1)
    assert "100%" in plot.texts and "25%" in plot.texts and "0" in plot.texts
