"""The runs in which the machine ended a track's decoding process: written to `detail` and read by the next run."""

import re

from transforms.audio.errors import Crash, MachineFault, TrackError

KILLED = "the machine ended the decoding process: "
"""How such a `detail` begins."""

RUNS_TO_CRASH = 3
"""A track whose decoder is killed in so many runs with the same source version has crashed: it is not tried again."""

_MOST_RUNS = 10
_RUN = re.compile(r"run (\d{1,6}) (killed|not started) \(([^()]{0,1000})\)")


def last_run(detail: str) -> int:
    """Number of the last run that a `detail` tells of; 0 if it tells of none."""
    runs = _runs(detail)
    return int(runs[-1][0]) if runs else 0


def _runs(detail: str) -> list[tuple[str, str, str]]:
    return _RUN.findall(detail) if detail.startswith(KILLED) else []


def with_history(fault: MachineFault, earlier: str) -> TrackError:
    """The outcome of a track that the machine did not let finish.

    Args:
      fault: what happened in this run.
      earlier: `detail` of the outcome of an earlier run with the same source version; may be empty.
    """
    tries = ", ".join(re.sub(r"[()\s]+", " ", one).strip()[:200] for one in fault.tries)
    runs = [*_runs(earlier), (str(last_run(earlier) + 1), "killed" if fault.was_killed else "not started", tries)]
    detail = KILLED + "; ".join(f"run {number} {what} ({how})" for number, what, how in runs[-_MOST_RUNS:])
    kills = sum(what == "killed" for _, what, _ in runs)
    is_crash = fault.was_killed and kills >= RUNS_TO_CRASH
    error = Crash(detail) if is_crash else MachineFault(detail, fault.tries, was_killed=fault.was_killed)
    error.core_us = fault.core_us
    return error
