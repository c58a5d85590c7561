"""Numbers on the command line: finite and in their range. Imports nothing that is slow to import."""

import math
import re
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


_MOST_PORT = 2**16 - 1
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Duration(click.ParamType[float]):
    """The type of flags that take a length of time, such as `7d`, `36h`, `10m` or `30s`; in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The time in seconds."""
        if isinstance(value, float):
            return value
        text = str(value)
        try:
            return number_in(text[:-1], 0, 1e9) * _SECONDS[text[-1:]]
        except (ValueError, KeyError):
            message = f"{text!r} is not a length of time: give a number with a unit, such as 7d, 36h, 10m or 30s"
            self.fail(message, param, ctx)


class Port(click.ParamType[int]):
    """The type of flags that take a port; 0 stands for any free one."""

    name = "port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The port."""
        text = str(value)
        if not (text.isascii() and text.isdigit()) or int(text) > _MOST_PORT:
            self.fail(
                f"{text!r} is not a port: give a number from 1 to {_MOST_PORT}, or 0 for any free one", param, ctx
            )
        return int(text)


RATIO = Number(0, 1)
"""The type of flags that take a share of a whole."""


_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


class ByteSize(click.ParamType[int]):
    """The type of flags that take a size, such as 500MB or 2GiB: a number of bytes."""

    name = "size"

    def __init__(self, least: int) -> None:
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)", str(value).strip())
        if found is None or found[2].upper() not in _BYTES:
            self.fail(f"{value!r} is not a size: give a number and a unit, such as 500MB or 2GB", param, ctx)
        size = int(float(found[1]) * _BYTES[found[2].upper()])
        if size < self._least:
            self.fail(f"{value!r} is too small: give at least {self._least // 10**6}MB", param, ctx)
        return size
