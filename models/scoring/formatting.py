"""Metrics as text: three decimals, and the interval where there is one."""

from collections.abc import Mapping

UNDEFINED = "-"

Interval = Mapping[str, float | None]
"""`low` and `high` of a metric; both None where too few artists give none."""


def show(value: float | None) -> str:
    """A metric with three decimals, or a dash where it is undefined."""
    return UNDEFINED if value is None else f"{value:.3f}"


def show_range(interval: Interval | None) -> str:
    """`[0.841, 0.902]`, or nothing without an interval."""
    if interval is None or interval["low"] is None:
        return ""
    return f"[{show(interval['low'])}, {show(interval['high'])}]"


def with_interval(value: float | None, interval: Interval | None) -> str:
    """`0.873 [0.841, 0.902]`, without what is undefined."""
    return show(value) if value is None else f"{show(value)} {show_range(interval)}".rstrip()
