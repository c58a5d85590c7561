"""Numbers on the command line: finite and in their range. Imports nothing that is slow to import."""

import math
from typing import Any

import click


def number_in(text: str | float, least: float, most: float = math.inf, *, above: bool = False) -> float:
    """The number in a text.

    Args:
      text: the text.
      least: least number that is allowed.
      most: greatest number that is allowed.
      above: whether `least` itself is not allowed.

    Raises:
      ValueError: it is no finite number in the range.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and least <= value <= most and not (above and value == least):
        return value
    lowest, to = (f"above {least:g}", "and up to") if above else (f"from {least:g}", "to")
    raise ValueError(f"{text!r} is not a number {lowest}" + (f" {to} {most:g}" if math.isfinite(most) else ""))


class Number(click.ParamType[float]):
    """The type of flags that take a number, see `number_in`."""

    name = "number"

    def __init__(self, least: float, most: float = math.inf, *, above: bool = False) -> None:
        self._range = (least, most)
        self._above = above

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            return number_in(value, *self._range, above=self._above)
        except ValueError as error:
            self.fail(str(error), param, ctx)


_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Duration(click.ParamType[float]):
    """The type of flags that take a length of time, such as `7d`, `36h`, `10m` or `30s`; in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The time in seconds."""
        if isinstance(value, float):
            return value
        text = str(value)
        try:
            return number_in(text[:-1], 0, 1e9) * _UNITS[text[-1:]]
        except (ValueError, KeyError):
            message = f"{text!r} is not a length of time: give a number with a unit, such as 7d, 36h, 10m or 30s"
            self.fail(message, param, ctx)


RATIO = Number(0, 1)
"""The type of flags that take a share of a whole."""
