"""Running a command and watching the memory and the time of its whole process tree."""

import dataclasses
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

SAMPLE_S = 0.1
MIB = 2**20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Usage:
    """What a command took.

    Attributes:
      wall_s: from start to end.
      cpu_s: processor time of the command and of all its descendants that have ended.
      parent_mib: peak resident memory of the command's own process.
      children_mib: peak of the sum over all its descendants, pages that they share counted once (PSS).
      tree_mib: peak of the sum over both.
      output: what it printed.
    """

    wall_s: float
    cpu_s: float
    parent_mib: float
    children_mib: float
    tree_mib: float
    output: str


def catalog_tagger(arguments: Sequence[str], cwd: Path, under: Sequence[str] = ()) -> Usage:
    """Runs `catalog-tagger` with these arguments in a process of its own: see `run_python`."""
    return run_python(["-m", "pipelines.cli", *arguments], cwd, under)


def run_python(arguments: Sequence[str], cwd: Path, under: Sequence[str] = ()) -> Usage:
    """Runs this Python in a process of its own and watches it.

    Args:
      arguments: those of Python.
      cwd: the folder that it runs in.
      under: a command that runs it, such as strace.

    Raises:
      RuntimeError: it failed; the message holds what it printed.
    """
    watch, pipe = _Watch(), subprocess.PIPE
    start, cpu_s = time.perf_counter(), _children_cpu_s()
    with subprocess.Popen(
        [*under, sys.executable, *arguments], cwd=cwd, stdout=pipe, stderr=subprocess.STDOUT, text=True
    ) as process:
        watch.start(process.pid)
        output, _ = process.communicate()
    wall_s, cpu_s = time.perf_counter() - start, _children_cpu_s() - cpu_s
    parent, children, tree = watch.stop()
    if process.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} ended with {process.returncode}:\n{output}")
    return Usage(wall_s=wall_s, cpu_s=cpu_s, parent_mib=parent, children_mib=children, tree_mib=tree, output=output)


def _children_cpu_s() -> float:
    """Processor time of all descendants of this process that have ended and were waited for, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Watch:
    """Samples a process tree from a thread and keeps the peaks, in MiB."""

    def __init__(self) -> None:
        self._peaks = (0.0, 0.0, 0.0)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, pid: int) -> None:
        self._thread = threading.Thread(target=self._sample, args=(pid,), daemon=True)
        self._thread.start()

    def stop(self) -> tuple[float, float, float]:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        return self._peaks

    def _sample(self, pid: int) -> None:
        while not self._stopped.wait(SAMPLE_S):
            parent, children = memory_of(pid)
            sample = (parent, children, parent + children)
            self._peaks = tuple(max(pair) for pair in zip(self._peaks, sample, strict=True))


def descendants(pid: int) -> list[psutil.Process]:
    """All processes under `pid`; none if it has ended."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def memory_of(pid: int) -> tuple[float, float]:
    """MiB of a process (resident) and of all its descendants (proportional); 0 for what has ended.

    A descendant that is about to start another program still shares its parent's memory, and its command line: it is
    left out.
    """
    try:
        process = psutil.Process(pid)
        command, resident = process.cmdline(), process.memory_info().rss / MIB
    except psutil.NoSuchProcess:
        return 0.0, 0.0
    started = [child for child in descendants(pid) if _command_line(child) != command]
    return resident, sum(_proportional_mib(child) for child in started)


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _proportional_mib(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss / MIB)
    except psutil.Error:
        return 0.0
