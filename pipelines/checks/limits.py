"""Limits of this process that would let a job hang or fail in the middle. The checks take less than a millisecond."""

import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from pipelines.checks.control_group import room
from pipelines.checks.finding import Finding
from pipelines.terminal.errors import CommandFailed

GIB = 1024**3
LEAST_ADDRESS_SPACE = 6 * GIB
"""Address space that a job needs: a small one reserves 4.2 GiB on 2 cores, most of it for libraries and threads."""

_PROCESS = Path("/proc/self/status")

LEAST_FILES = 256
LEAST_THREADS = 128
LEAST_DISK = GIB // 4


def limit_findings() -> list[Finding]:
    """The findings about address space, file handles, processes, `/proc` and temporary files."""
    return [_address_space(), _file_handles(), _processes(), *_shown_processes(), temporary_files()]


def require_limits() -> None:
    """Refuses to start a job that these limits would end.

    Raises:
      CommandFailed: a limit is too low; the message says which and what to do.
    """
    failed = [finding for finding in limit_findings() if finding.state == "failed"]
    if failed:
        raise CommandFailed("\n".join(f"{finding.name}: {finding.text}: {finding.remedy}" for finding in failed))


def _soft_limit(kind: int) -> int | None:
    soft, _ = resource.getrlimit(kind)
    return None if soft == resource.RLIM_INFINITY else soft


def _compared(name: str, limit: int | None, least: int, shown: str, remedy: str) -> Finding:
    if limit is None:
        return Finding(name=name, state="ok", text="unlimited")
    if limit >= least:
        return Finding(name=name, state="ok", text=shown)
    return Finding(name=name, state="failed", text=f"{shown}, which is too little", remedy=remedy)


def _address_space() -> Finding:
    limit = _soft_limit(resource.RLIMIT_AS)
    remedy = f"raise it to {LEAST_ADDRESS_SPACE / GIB:.0f} GiB or more with `ulimit -v`"
    return _compared("address space", limit, LEAST_ADDRESS_SPACE, f"{(limit or 0) / GIB:.1f} GiB", remedy)


def _file_handles() -> Finding:
    limit = _soft_limit(resource.RLIMIT_NOFILE)
    remedy = f"raise it to {LEAST_FILES} or more with `ulimit -n`"
    return _compared("file handles", limit, LEAST_FILES, f"{limit}", remedy)


def _processes() -> Finding:
    # Root may start more processes than the limit; for others it counts all threads of the user.
    limit = None if os.geteuid() == 0 else _soft_limit(resource.RLIMIT_NPROC)
    remedy = f"raise it to {LEAST_THREADS} or more with `ulimit -u`"
    if (allowed := room("pids")) is not None and (limit is None or allowed < limit):
        limit, remedy = allowed, f"let its control group have {LEAST_THREADS} more (docker: --pids-limit)"
    return _compared("processes and threads", limit, LEAST_THREADS, f"{limit}", remedy)


def _shown_processes() -> list[Finding]:
    """On Linux, whether the system shows its processes: decoders are measured by what it shows."""
    if sys.platform != "linux":
        return []
    if _PROCESS.exists():
        return [Finding(name="/proc", state="ok", text="it is mounted")]
    remedy = "mount it (`mount -t proc proc /proc`), or start the container with it"
    return [Finding(name="/proc", state="failed", text="it is not mounted", remedy=remedy)]


def temporary_files() -> Finding:
    """The finding about the folder of temporary files: it must be writable and have room."""
    name = "temporary files"
    try:
        folder = tempfile.gettempdir()
        with tempfile.TemporaryFile():
            free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(name=name, state="failed", text=str(error), remedy="set TMPDIR to a folder that can be written")
    return disk_finding(name, folder, free)


def disk_finding(name: str, folder: str, free: int) -> Finding:
    """The finding about the free space of a folder's disk."""
    text = f"{folder} has {free / GIB:.1f} GiB free"
    if free < LEAST_DISK:
        return Finding(name=name, state="failed", text=text, remedy=f"free at least {LEAST_DISK / GIB:g} GiB")
    return Finding(name=name, state="ok" if free >= 4 * LEAST_DISK else "warning", text=text)
