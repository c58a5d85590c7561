"""The system calls that a decoding child may make: an allow-list, enforced by the kernel through libseccomp.

Everything that is not listed fails with EPERM: opening, creating, renaming and removing files, sockets, processes,
threads, signals to others, new executable memory, and whatever a later kernel adds.
"""

import errno
import mmap
import os
import signal
import types
from collections.abc import Iterator
from typing import Any, NamedTuple


class AllowedCall(NamedTuple):
    """A system call of the allow-list: its name, what its arguments must be, and why a child needs it."""

    name: str
    condition: str
    reason: str


ALLOWED_CALLS = (
    *(
        AllowedCall(name, "", "read and write the descriptors that are open: the two pipes, stderr, /proc/self/status")
        for name in ("read", "readv", "pread64", "write", "writev", "lseek", "fstat", "close")
    ),
    *(AllowedCall(name, "", "take and return memory") for name in ("brk", "munmap", "mremap", "madvise")),
    *(AllowedCall(name, "not executable", "take memory, and change its protection") for name in ("mmap", "mprotect")),
    *(AllowedCall(name, "", "wait for a lock of this process") for name in ("futex", "sched_yield")),
    *(
        AllowedCall(name, "", "read a clock, and sleep")
        for name in ("clock_gettime", "clock_getres", "clock_nanosleep", "gettimeofday", "nanosleep", "time")
    ),
    *(AllowedCall(name, "", "read the child's own numbers and cost") for name in ("getpid", "gettid", "getrusage")),
    AllowedCall("setitimer", "of processor time", "grant each track its own: at its end comes SIGPROF"),
    *(AllowedCall(name, "", "end") for name in ("exit", "exit_group")),
    AllowedCall("tgkill", "SIGABRT to itself", "abort(); SIGKILL would look like the kernel's"),
    *(AllowedCall(name, "", "abort() and interrupted calls") for name in ("rt_sigprocmask", "rt_sigreturn")),
    AllowedCall("restart_syscall", "", "go on with an interrupted sleep"),
)
"""The whole list; `docs` prints it."""


def load_libseccomp() -> types.ModuleType | str:
    """The binding of libseccomp, or why it cannot be loaded."""
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as error:
        return f"libseccomp cannot be loaded: {error}"
    library: types.ModuleType = pyseccomp
    return library


def allow_only_listed_calls(seccomp: types.ModuleType) -> str | None:
    """Forbids this process every other system call for good. Returns why that is not possible, None if it is done."""
    try:
        _load_filter(seccomp)
    except OSError as error:
        return f"the kernel refuses the seccomp filter: {error}"
    return None


def _load_filter(seccomp: types.ModuleType) -> None:
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    for call in ALLOWED_CALLS:
        rules.add_rule(seccomp.ALLOW, call.name, *_arguments(seccomp, call))
    rules.load()


def _arguments(seccomp: types.ModuleType, call: AllowedCall) -> Iterator[Any]:
    """What the arguments of a call must be."""
    match call.condition:
        case "not executable":
            yield seccomp.Arg(2, seccomp.MASKED_EQ, mmap.PROT_EXEC, 0)
        case "of processor time":
            yield seccomp.Arg(0, seccomp.EQ, signal.ITIMER_PROF)
        case "SIGABRT to itself":
            yield seccomp.Arg(0, seccomp.EQ, os.getpid())
            yield seccomp.Arg(2, seccomp.EQ, signal.SIGABRT)
