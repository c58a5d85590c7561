"""What a run was planned to do, and what it did, in lines of text."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.terminal.progress import duration_text, size_text
from transforms.formats.quantities import quantity

_COUNTED = {
    "new": "new",
    "removed": "removed",
    "extract": "extracted",
    "reuse": "reused",
    "carry": "carried",
    "remember": "remembered as rejected",
    "defer": "left to later runs",
}


def outcome_lines(plan: Mapping[str, Any], same_bytes: int = 0) -> Iterator[str]:
    """Yields the lines of a run's plan, see `Run.plan`; nothing if it is empty.

    Args:
      plan: what was planned, and what happened.
      same_bytes: tracks that were read and not decoded, because their bytes had not changed.
    """
    if not plan:
        return
    expected, happened = plan["expected"], plan["happened"]
    # Plans of earlier versions postpone nothing, and those of runs without a budget do not say so.
    names = {name: text for name, text in _COUNTED.items() if name != "defer" or happened.get(name)}
    counts = ", ".join(f"{text} {expected[name]}" for name, text in names.items())
    differing = [
        f"{text} {happened[name]} instead of {expected[name]}"
        for name, text in names.items()
        if happened[name] != expected[name]
    ]
    yield f"planned: {counts}; " + (f"but {', '.join(differing)}" if differing else "all as planned")
    if same_bytes:
        yield (
            f"{quantity(same_bytes, 'file')} of those to be extracted had another time or name and the same bytes: "
            "read, not decoded, and carried"
        )
    if (budget := plan.get("budget")) is not None:
        yield budget_line(budget, happened["defer"])
    if "compaction" in happened and (expected["compaction"]["files"] or happened["compaction"]["files"]):
        one, other = happened["compaction"], expected["compaction"]
        yield (
            f"compaction: {one['files']} files written, planned {other['files']}; {size_text(one['write_bytes'])}, "
            f"planned {size_text(other['write_bytes'])}"
        )
    took, hoped = happened["core_seconds"], expected["core_seconds"]
    if all(stage in hoped for stage, seconds in took.items() if seconds):
        text = f"{duration_text(sum(took.values()))}, planned {duration_text(sum(hoped.values()))}"
        yield f"processor time: {text}; wall time: {duration_text(happened['wall_seconds'])}"


def budget_line(budget: Mapping[str, Any], left: int) -> str:
    """What a run with a budget has done, and how many runs are left, see `TrackChoice.to_json`."""
    chosen = budget["chosen"]
    nights = -(-left // chosen) if chosen else 0
    return (
        f"budget of {budget['max_core_hours']:g} core-hours: {chosen} of {budget['tracks']} tracks that need "
        f"extraction; {left} are left" + (f", about {quantity(nights, 'more run')} like this one" if left else "")
    )
