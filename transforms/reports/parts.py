"""Parts of a page that several reports have: tables, tiles, lists of facts, figures."""

from collections.abc import Iterable, Mapping, Sequence

from transforms.reports.markup import Html, element, escaped, html_joined


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> Html:
    """A table whose first column has the row headers. It scrolls if the screen is narrower."""
    titles = html_joined(*(element("th", title, scope="col") for title in head))
    body = html_joined(
        *(
            html_joined(
                element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])), "\n"
            )
            for row in rows
        )
    )
    return Html(
        f'<div class="scroll"><table><caption>{element("span", caption)}</caption>\n'
        f"<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
    )


def tile_row(tiles: Iterable[tuple[object, object, object]]) -> Html:
    """Tiles of (value, what it is, a note in small print)."""
    break_ = Html("<br>")
    return element(
        "div",
        *(
            element("div", element("b", value), name, break_, element("small", note), class_="tile")
            for value, name, note in tiles
        ),
        class_="tiles",
    )


def fact_list(facts: Mapping[str, object]) -> Html:
    """Names and values that identify something, as a list of two columns."""
    pairs = (html_joined(element("dt", name), element("dd", element("code", value))) for name, value in facts.items())
    return element("dl", *pairs)


def captioned(plot: Html, caption: str) -> Html:
    """A plot above its caption."""
    return element("figure", plot, element("figcaption", caption))


def folded(title: str, content: Html, *, opened: bool = False) -> Html:
    """Content that a reader can fold; `opened` says whether it is shown at first."""
    return Html(f"<details{' open' if opened else ''}>{element('summary', title)}{escaped(content)}</details>")


def barred_number(text: object, share: float) -> Html:
    """A number, and a bar behind it whose length is the share, 0 to 1."""
    return element("span", text, class_="bar", style=f"--share:{share:.3f}")
