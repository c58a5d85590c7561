"""The processes that this one has started, and those that they have started. Only Linux lists them."""

import contextlib
import os
import signal
from pathlib import Path

_PROCESSES = Path("/proc")


def children_ticks() -> dict[int, int]:
    """Processor time in clock ticks of every process below this one, by process id."""
    ticks: dict[int, int] = {}
    parents: dict[int, int] = {}
    for stat in _PROCESSES.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended since the listing
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            pid = int(stat.parent.name)
            parents[pid], ticks[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
    below = {os.getpid()}
    while found := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= found
    return {pid: ticks[pid] for pid in below - {os.getpid()}}


def end_children() -> None:
    """Kills every process below this one."""
    for pid in children_ticks():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
