"""Whether a process that described itself in a file has ended, as far as this machine can be sure of it."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


def process_facts(pid: int) -> dict[str, Any]:
    """What identifies a process of this machine and of this container.

    `host`, `boot` (id of the start of the kernel), `pid_namespace`, `pid`, and `ticks`, the time of the kernel at which
    the process began: another process that gets the same number later began at another time. Only `host` and `pid` if
    the system does not tell the others, or has no such process.
    """
    known: dict[str, Any] = {"host": socket.gethostname(), "pid": pid}
    if (ticks := _start_ticks(pid)) is None:
        return known
    return {**known, **_surroundings(), "ticks": ticks}


def is_gone(facts: Mapping[str, Any]) -> bool:
    """Whether the process of these facts has certainly ended.

    False for a process of another host, of an earlier start of this one, or of another container, because the same
    number is another process there; and if the facts or the system do not tell.
    """
    here = _surroundings()
    if not here or any(facts.get(name) != here.get(name) for name in ("boot", "pid_namespace")):
        return False
    if facts.get("host") != socket.gethostname() or not isinstance(facts.get("pid"), int) or "ticks" not in facts:
        return False
    return bool(_start_ticks(facts["pid"]) != facts["ticks"])


def _surroundings() -> dict[str, Any]:
    """The start of the kernel and the namespace of process numbers; nothing if the system does not tell."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The view of /proc may be that of another namespace: then its number of this process is another one.
        if Path(os.readlink(_PROC / "self")).name != str(os.getpid()):  # noqa: PTH115 - the link's own text
            return {}
        return {"boot": boot, "pid_namespace": os.readlink(_PROC / "self/ns/pid")}  # noqa: PTH115
    except (OSError, ValueError):
        return {}


def _start_ticks(pid: int) -> int | None:
    """The time of the kernel at which a process began; None if there is none, or only its exit status is kept."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *numbers = text.rpartition(")")[2].split()  # the name of the program may have spaces and brackets
    return None if state in "ZX" else int(numbers[18])
