"""What a child process may not do: seccomp through libseccomp, where the kernel and the library are there."""

import errno
import types

_FORBIDDEN = (
    "execve",
    "execveat",
    "fork",
    "vfork",
    "socket",
    "socketpair",
    "connect",
    "bind",
    "listen",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "io_uring_setup",
    "bpf",
    "unshare",
    "setns",
    "mount",
)
_CLONE_THREAD = 0x10000


def forbid_programs_and_sockets() -> str | None:
    """Forbid this process to start programs, processes and connections for good. Returns why that is not possible."""
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError) as error:
        return f"libseccomp cannot be loaded: {error}"
    try:
        _load_filter(pyseccomp)
    except OSError as error:
        return f"the kernel refuses the seccomp filter: {error}"
    return None


def _load_filter(seccomp: types.ModuleType) -> None:
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    refuse = seccomp.ERRNO(errno.EPERM)
    for name in _FORBIDDEN:
        rules.add_rule(refuse, name)
    a_process = seccomp.Arg(0, seccomp.MASKED_EQ, _CLONE_THREAD, 0)
    rules.add_rule(refuse, "clone", a_process)
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")  # its flags lie in memory: libc then takes clone
    rules.load()
