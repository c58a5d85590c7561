"""A plot of two values for each of some names: a circle for the earlier value, a dot for the later one."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from transforms.reports.markup import Html, element, html_joined

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 680, 190, 90, 20, 26
_LONGEST_NAME = 28
_TICKS = 4


class Dots(NamedTuple):
    """One row of the plot: its name, two shares from 0 to 1, and a text at its right end."""

    name: str
    before: float
    after: float
    note: str


def dot_plot(rows: Sequence[Dots], label: str) -> Html:
    """The plot as an SVG element with the page's colours. The axis begins at 0 and ends above the greatest value.

    Args:
      rows: at least one row.
      label: alternative text.
    """
    most = _axis_end(max(max(row.before, row.after) for row in rows))
    height = _TOP + _ROW * len(rows) + 6
    parts = [*_axis(most, height), *(_row(row, most, number) for number, row in enumerate(rows))]
    return element(
        "svg",
        *parts,
        viewBox=f"0 0 {_WIDTH} {height}",
        role="img",
        aria_label=label,
        style=f"max-width:{_WIDTH}px;min-width:{_WIDTH * 0.7:.0f}px;font:11px system-ui,sans-serif",
    )


def _axis_end(most: float) -> float:
    """The smallest of 1, 2, 4, 5 and 8 times a power of ten that is not below the value, at most 1.

    >>> _axis_end(0.37), _axis_end(0.003), _axis_end(0), _axis_end(1)
    (0.4, 0.004, 0.01, 1.0)
    """
    if most <= 0:
        return 0.01
    unit = 10.0 ** math.floor(math.log10(most))
    return min(1.0, next(round(step * unit, 12) for step in (1, 2, 4, 5, 8, 10) if step * unit >= most * (1 - 1e-9)))


def _x(value: float, most: float) -> float:
    return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * value / most, 1)


def _axis(most: float, height: int) -> list[Html]:
    found = []
    for tick in range(_TICKS + 1):
        value = most * tick / _TICKS
        x = _x(value, most)
        line = element("line", x1=x, x2=x, y1=_TOP - 6, y2=height, style="stroke:var(--line)")
        text = element("text", f"{value:.3%}".rstrip("0%").rstrip(".") + "%" if value else "0", **_at(x, 12, "middle"))
        found += [line, text]
    return found


def _at(x: float, y: float, anchor: str) -> dict[str, object]:
    colour = "var(--soft)" if anchor == "middle" else "var(--ink)"
    return {"x": x, "y": y, "text_anchor": anchor, "style": f"fill:{colour}"}


def _row(row: Dots, most: float, number: int) -> Html:
    y = _TOP + _ROW * number + _ROW // 2
    before, after = _x(row.before, most), _x(row.after, most)
    name = row.name if len(row.name) <= _LONGEST_NAME else f"{row.name[: _LONGEST_NAME - 1]}…"
    return html_joined(
        element("text", name, element("title", row.name), **_at(_LEFT - 12, y + 4, "end")),
        element("line", x1=before, x2=after, y1=y, y2=y, style="stroke:var(--soft);stroke-width:1.5"),
        element("circle", cx=before, cy=y, r=4, style="fill:var(--paper);stroke:var(--soft);stroke-width:1.5"),
        element("circle", cx=after, cy=y, r=4.5, style="fill:var(--first)"),
        element("text", row.note, **_at(_WIDTH, y + 4, "end")),
    )
