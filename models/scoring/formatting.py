"""Metrics as text: three decimals, and the confidence interval if there is one."""

from collections.abc import Mapping

UNDEFINED = "-"

Interval = Mapping[str, float | None]
"""`low` and `high` of a metric; both are None if there are too few artists."""


def show(value: float | None) -> str:
    """A metric with three decimals, or a dash if it is undefined."""
    return UNDEFINED if value is None else f"{value:.3f}"


def show_range(interval: Interval | None) -> str:
    """`[0.841, 0.902]`, or an empty string without an interval."""
    if interval is None or interval["low"] is None:
        return ""
    return f"[{show(interval['low'])}, {show(interval['high'])}]"


def with_interval(value: float | None, interval: Interval | None) -> str:
    """`0.873 [0.841, 0.902]`; `0.873` without an interval; a dash if the value is undefined."""
    return show(value) if value is None else f"{show(value)} {show_range(interval)}".rstrip()
