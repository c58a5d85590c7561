"""Plots as inline SVG with the page's colours and font and unique ids. The same figure gives the same bytes."""

import contextlib
import html
import io
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from transforms.reports.markup import Html

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

INK, PAPER = "#010203", "#fcfdfe"
COLOURS = {INK: "var(--ink)", PAPER: "var(--paper)", "#010204": "var(--first)", "#010205": "var(--second)"}
"""Placeholder colours in a figure -> colours of the page, which depend on light or dark mode."""

FIRST, SECOND = "#010204", "#010205"
"""Placeholder colours of the evaluated model and of the baseline."""

SHRINK_LIMIT = 0.7
"""Smallest scale of a plot on a narrow screen. Below it, text would be unreadable, so the plot scrolls."""

_FONT = "DejaVu Sans"

_STYLE: "Mapping[RcKeyType, Any]" = {
    "svg.fonttype": "none",
    "svg.hashsalt": "catalog-tagger",
    "text.parse_math": False,  # a tag between dollar signs is no formula
    "font.family": _FONT,
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.8,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.5,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "figure.constrained_layout.use": True,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"), INK
    ),
    "grid.color": INK,
    "hatch.color": INK,
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """A context in which figures get the style of the page, whatever the user's matplotlib settings are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def figure(width: float, height: float, rows: int = 1, columns: int = 1) -> "tuple[Figure, np.ndarray]":
    """A figure of this size in inches and its axes [rows, columns]. It opens no window."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height))
    return made, made.subplots(rows, columns, squeeze=False)


def svg(made: "Figure", name: str, alt: str) -> Html:
    """The figure as an SVG element.

    Args:
      made: the figure.
      name: prefix of its ids, unique in the page.
      alt: alternative text of the plot.
    """
    buffer = io.StringIO()
    made.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"( height="[^"]*")?', r"\1", text, count=1)
    text = re.sub(r' height="[\d.]+pt"', "", text, count=1)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    for stand_in, colour in COLOURS.items():
        text = text.replace(stand_in, colour)
    text = text.replace(f"'{_FONT}'", "system-ui, sans-serif")
    width = made.get_figwidth() * 96
    size = f"max-width:{width:.0f}px;min-width:{SHRINK_LIMIT * width:.0f}px"
    label = f'role="img" aria-label="{html.escape(alt)}" style="{size}"'
    return Html(text.replace("<svg ", f"<svg {label} ", 1).strip())
