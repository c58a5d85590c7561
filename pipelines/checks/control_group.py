"""What the control groups of this process still allow: containers, services and batch systems set limits there."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

_OWN = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")
_FILES = {
    "memory": (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")),
    "pids": (("pids.max", "pids.current"),),
}
"""Controller -> the names of limit and use in both versions of control groups."""


def room(controller: Literal["memory", "pids"]) -> int | None:
    """Bytes of memory, or processes and threads, that may still be added; None if no group has a limit."""
    found = []
    for folder in _folders(controller):
        for limit, use in _FILES[controller]:
            with contextlib.suppress(OSError, ValueError):  # no such group, or its limit is "max"
                found.append(int((folder / limit).read_text()) - int((folder / use).read_text()))
    return min(found, default=None)


def _folders(controller: str) -> Iterator[Path]:
    """The folders of the process's groups and of those above them, as far as they are seen from here."""
    yield from (_MOUNT, _MOUNT / controller)
    with contextlib.suppress(OSError):
        for line in _OWN.read_text(encoding="utf-8", errors="replace").splitlines():
            _, names, path = line.split(":", 2)
            if names and controller not in names.split(","):
                continue
            folder = _MOUNT / names if names else _MOUNT
            for part in Path(path).parts[1:]:
                folder /= part
                yield folder
