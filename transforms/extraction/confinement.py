"""Everything that a decoding child gives up before it sees a file, strongest first; what is in force is reported.

seccomp is required unless a weak sandbox is allowed. An unprivileged user, Landlock and non-dumpable processes are
additional: each holds alone where another one should fail.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from transforms.extraction.landlock import give_up_files
from transforms.extraction.seccomp import allow_only_listed_calls, load_libseccomp

NOBODY = 65_534
"""Numeric user and group that own nothing."""

SECCOMP = "seccomp"
"""The measure without which a sandbox is weak."""

IN_FORCE = "in force"

_CAP_KILL, _CAP_SETGID, _CAP_SETUID = 5, 6, 7
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


def confine() -> dict[str, str]:
    """Gives up everything that decoding does not need. Returns measure -> `in force`, or why it is not.

    The order matters: libraries are loaded first, changing the user clears the signal of the parent's death, and
    seccomp ends all further calls.
    """
    library = load_libseccomp()
    user = _become_nobody()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    measures = {
        "unprivileged user": user,
        "not dumpable": hide_memory(),
        "landlock": give_up_files() if sys.platform == "linux" else "not Linux",
        SECCOMP: library if isinstance(library, str) else allow_only_listed_calls(library),
    }
    return {name: fault or IN_FORCE for name, fault in measures.items()}


def hide_memory() -> str | None:
    """Makes this process unreadable for others of its user: no ptrace, no /proc/PID/mem, no pidfd_getfd, no core."""
    return _prctl(_PR_SET_DUMPABLE, 0)


def in_force(measures: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the measures that are in force."""
    return tuple(name for name, state in measures.items() if state == IN_FORCE)


def is_weak(measures: Mapping[str, str]) -> bool:
    """Whether the required measure is missing."""
    return measures[SECCOMP] != IN_FORCE


def _become_nobody() -> str | None:
    """Changes to a user that owns nothing, if this process may, and if its parent may still end it."""
    needed = (_CAP_KILL, _CAP_SETGID, _CAP_SETUID)
    if os.geteuid() != 0 or not all(_capabilities() >> bit & 1 for bit in needed):
        return f"runs as user {os.geteuid()}, which may not change it"
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError as error:
        return f"user {NOBODY}: {error}"
    return None


def _capabilities() -> int:
    """Effective capabilities as a bit mask; 0 where the system has none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)


def _prctl(option: int, value: int) -> str | None:
    if sys.platform != "linux":
        return "not Linux"
    libc = ctypes.CDLL(None, use_errno=True)
    return os.strerror(ctypes.get_errno()) if libc.prctl(option, value, 0, 0, 0) else None
