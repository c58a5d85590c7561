"""Landlock: a process gives up the file system, TCP and signals to others for good (Linux 5.13 and later).

Called by number, since the C library has no functions for it. See landlock(7) for the bits of each version.
"""

import ctypes
import os
import struct

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION = 1
_PR_SET_NO_NEW_PRIVS = 38

_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""Version -> how many rights to files it knows; version 4 adds none."""
_TCP_RIGHTS = 0b11
"""Bind and connect, from version 4."""
_SCOPES = 0b11
"""Abstract UNIX sockets and signals of processes outside, from version 6."""


def give_up_files() -> str | None:
    """Refuse this process every file that is not open yet. Returns why that is not possible, None if it is done."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return f"the kernel has no Landlock: {os.strerror(ctypes.get_errno())}"
    attributes = _attributes(version)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return f"no_new_privs: {os.strerror(ctypes.get_errno())}"
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return f"landlock_create_ruleset: {os.strerror(ctypes.get_errno())}"
    try:
        if libc.syscall(_RESTRICT_SELF, ruleset, 0):
            return f"landlock_restrict_self: {os.strerror(ctypes.get_errno())}"
    finally:
        os.close(ruleset)
    return None


def _attributes(version: int) -> bytes:
    """The rights that a ruleset without rules takes away: struct landlock_ruleset_attr of this version."""
    files = (1 << _FILE_RIGHTS[max(known for known in _FILE_RIGHTS if known <= version)]) - 1
    fields = [files, *([_TCP_RIGHTS] if version >= 4 else []), *([_SCOPES] if version >= 6 else [])]
    return struct.pack(f"={len(fields)}Q", *fields)
