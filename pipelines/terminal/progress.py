"""What a user sees of the phases of a command on stderr: bars on a terminal, otherwise lines with the time."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipelines.terminal.log_lines import LogForm, write_line
from pipelines.terminal.visible import bounded, for_people
from transforms.telemetry.phases import Listener, Phase

LINE_S, BAR_S = 30.0, 0.2
"""Seconds between two lines about a phase, and between two states of a bar."""

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))

Write = Callable[[str, Mapping[str, Any]], None]


def shown_phases() -> Listener:
    """The listener for this process: bars if a person watches, lines if not."""
    watched = sys.stderr is not None and sys.stderr.isatty() and not LogForm.json
    return PhaseBars() if watched else PhaseLines()


class PhaseLines:
    """Writes a line when a phase begins, one every 30 s, and one with the counts when it is done.

    Args:
      write: writes a line, given its text and its values for programs.
      interval_s: seconds between two lines about a phase.
    """

    def __init__(self, write: Write = write_line, interval_s: float = LINE_S) -> None:
        self._write, self._interval_s = write, interval_s
        self._running: list[tuple[Phase, threading.Event]] = []

    def begin(self, phase: Phase) -> None:
        """Writes the first line about a phase."""
        total = "" if phase.total is None or not phase.unit else f": {_amount(phase.total, phase.unit)}"
        self._write(phase.name + total, {"phase": phase.name, "state": "begun", **_counts(phase)})
        self._running.append((phase, stop := threading.Event()))
        threading.Thread(target=self._follow, args=(phase, stop), daemon=True, name="progress").start()

    def end(self, phase: Phase, *, completed: bool) -> None:
        """Writes the last line, unless the phase failed or counted nothing."""
        for entry in [entry for entry in self._running if entry[0] is phase]:
            entry[1].set()
            self._running.remove(entry)
        if completed and phase.unit:
            self.report(phase, time.monotonic(), "done")

    def tell(self, sentence: str, facts: Mapping[str, Any]) -> None:
        """Writes a sentence."""
        self._write(sentence, facts)

    def report(self, phase: Phase, now: float, state: str) -> None:
        """Writes where a phase is, at a time of `time.monotonic`."""
        facts = progress_facts(phase, now)
        text = ", ".join(progress_parts(facts, phase.unit, state))
        self._write(f"{phase.name}: {text}", {"phase": phase.name, "state": state, **facts})

    def _follow(self, phase: Phase, stop: threading.Event) -> None:
        while not stop.wait(self._interval_s):
            if self._running and self._running[-1][0] is phase:
                self.report(phase, time.monotonic(), "running")


def _counts(phase: Phase) -> dict[str, Any]:
    return {"total": phase.total, "unit": phase.unit} if phase.unit else {}


def progress_facts(phase: Phase, now: float) -> dict[str, Any]:
    """Where a phase is, as values: elapsed time, and done, total, rate and remaining time if it counts something."""
    elapsed = max(now - phase.started, 1e-3)
    facts: dict[str, Any] = {"elapsed_s": round(elapsed, 1)}
    if phase.unit:
        done = phase.done
        facts |= {"done": done, **_counts(phase), "per_s": round(done / elapsed, 3)}
        if (remaining := phase.remaining_s(elapsed)) is not None:
            facts["remaining_s"] = round(remaining)
        if phase.last_step and phase.total is not None and done >= phase.total:
            facts["step"] = phase.last_step
    return {**facts, **phase.further}


_SPELLED = ("elapsed_s", "done", "total", "unit", "per_s", "remaining_s", "step")


def progress_parts(facts: Mapping[str, Any], unit: str, state: str) -> Iterator[str]:
    """The values of `progress_facts` as parts of a line."""
    if state == "done":
        yield f"done: {_amount(facts['done'], unit)} in {duration_text(facts['elapsed_s'])}"
    elif not unit:
        yield f"for {duration_text(facts['elapsed_s'])}"
    elif facts["total"]:
        yield f"{facts['done']:,} of {_amount(facts['total'], unit)} ({100 * facts['done'] / facts['total']:.0f} %)"
    else:
        yield _amount(facts["done"], unit)
    if unit and facts["done"]:
        yield f"{facts['per_s']:.4g} per s"
    if state != "done" and (text := _ahead(facts)):
        yield text
    for name, value in facts.items():
        if name not in _SPELLED:
            yield f"{value:,} {name}" if isinstance(value, int) else f"{name} {value}"


def _ahead(facts: Mapping[str, Any]) -> str:
    """The remaining time, or what still happens when all units are done; "" if neither is known."""
    if "remaining_s" in facts:
        return f"{duration_text(facts['remaining_s'])} left"
    return f"now {facts['step']}" if "step" in facts else ""


def _amount(count: int, unit: str) -> str:
    """A number with its unit, which is given in the plural."""
    return f"{count:,} {unit.removesuffix('s') if count == 1 else unit}"


def duration_text(seconds: float) -> str:
    """A duration in its two largest units.

    >>> duration_text(3.21), duration_text(75), duration_text(7_500), duration_text(200_000)
    ('3.2 s', '1 min 15 s', '2 h 5 min', '2 d 7 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for large, small, names in ((86_400, 3_600, "d h"), (3_600, 60, "h min"), (60, 1, "min s")):
        if whole >= large:
            one, other = names.split()
            return f"{whole // large} {one} {whole % large // small} {other}"
    return f"{whole} s"


class PhaseBars:
    """Shows a bar on stderr while a phase runs, and sentences above the bars."""

    def __init__(self) -> None:
        self._running: dict[Phase, tuple[threading.Event, threading.Thread]] = {}

    def begin(self, phase: Phase) -> None:
        """Shows a bar."""
        from tqdm import tqdm

        form = {} if phase.unit else {"bar_format": "{desc} ({elapsed})"}
        bar = tqdm(total=phase.total, desc=phase.name, unit=f" {phase.unit}", leave=False, **_size(), **form)
        stop = threading.Event()
        thread = threading.Thread(target=_follow_bar, args=(phase, bar, stop), daemon=True, name="progress")
        self._running[phase] = stop, thread
        thread.start()

    def end(self, phase: Phase, *, completed: bool) -> None:
        """Removes the bar."""
        if phase in self._running:
            stop, thread = self._running.pop(phase)
            stop.set()
            thread.join()

    def tell(self, sentence: str, facts: Mapping[str, Any]) -> None:
        """Writes a sentence above the bars."""
        from tqdm import tqdm

        tqdm.write(bounded(for_people(sentence)), file=sys.stderr)


def _size() -> dict[str, int]:
    """The size of a terminal that does not state it, as some that programs open do not."""
    try:
        size = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        return {}
    return {} if size.columns and size.lines else {"ncols": size.columns or 80, "nrows": size.lines or 24}


def _follow_bar(phase: Phase, bar: Any, stop: threading.Event) -> None:
    while not stop.wait(BAR_S):
        bar.n = phase.done
        if phase.unit and phase.total:
            ahead = f", {text}" if (text := _ahead(progress_facts(phase, time.monotonic()))) else ""
            bar.bar_format = f"{{l_bar}}{{bar}}| {{n_fmt}}/{{total_fmt}} [{{elapsed}}{ahead}{{postfix}}]"
        if further := phase.further:
            bar.set_postfix(further, refresh=False)
        bar.refresh()
    bar.close()


def size_text(count: float | None) -> str:
    """A number of bytes for people.

    >>> size_text(1_234_567), size_text(12), size_text(None)
    ('1.23 MB', '12 bytes', 'unknown')
    """
    if count is None:
        return "unknown"
    unit, name = next(((unit, name) for unit, name in _UNITS if count >= unit), (1, "bytes"))
    return f"{count / unit:.3g} {name}"
