"""Attempts of a decoder that was taken over, by somebody who did not write the confinement: memory, descriptors, time.

As in `attempts`, the detail of the reject is the error's name, or `succeeded`.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import select
import signal
import sys
from pathlib import Path

from transforms.audio.errors import DecodeError

LIBC = ctypes.CDLL(None, use_errno=True)
_X32 = 0x4000_0000
_CODE = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
"""Executable memory from before the confinement, as a library with a JIT compiler would leave behind."""


def tried(data, spec, limits):
    name, _, argument = data.decode().partition("\n")
    ctypes.set_errno(0)
    try:
        told = OWN_ATTEMPTS[name](argument)
    except OSError as error:
        raise DecodeError(f"{type(error).__name__} {errno.errorcode.get(error.errno)}") from error
    except Exception as error:
        raise DecodeError(type(error).__name__) from error
    raise DecodeError(f"succeeded {told}")


def _call(number, *args):
    result = LIBC.syscall(
        ctypes.c_long(number), *[ctypes.c_ulong(a & (2**64 - 1)) if isinstance(a, int) else a for a in args]
    )
    if result == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def _machine_code(code):
    _CODE.seek(0)
    _CODE.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(_CODE))
    return ctypes.CFUNCTYPE(ctypes.c_long)(address)()


def _int80(number):
    """push rbx; mov eax, number; xor ebx.. ; int 0x80; pop rbx; cdqe; ret"""
    code = b"\x53\xb8" + number.to_bytes(4, "little") + b"\x31\xdb\x31\xc9\x31\xd2\xcd\x80\x5b\x48\x98\xc3"
    result = _machine_code(code)
    if result < 0:
        raise OSError(-result, "refused")
    return result


def _mprotect_exec(flags):
    page = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return _call(10, address, 4096, flags)


def _path(text):
    return ctypes.c_char_p(text.encode())


def _stderr_far():
    os.lseek(2, 1 << 40, os.SEEK_SET)
    return os.write(2, b"x")


def _none_but_errors(numbers):
    for number in numbers:
        with contextlib.suppress(PermissionError):
            return _call(number, 0, 0, 0, 0)
    raise PermissionError(errno.EPERM, "all of them")


_NUMBERS = {
    "getdents": (217, 0, 0, 0),
    "pkey_mprotect": (329, 0, 4096, 7, -1),
    "pkey_alloc": (330, 0, 0),
    "remap_file_pages": (216, 0, 4096, 0, 0, 0),
    "mlockall": (151, 3),
    "process_madvise": (440, 0, 0, 0, 0, 0),
    "process_mrelease": (448, 0, 0),
    "memfd_secret": (447, 0),
    "modify_ldt": (154, 1, 0, 0),
    "iopl": (172, 3),
    "membarrier": (324, 16, 0, 0),
    "get_mempolicy": (239, 0, 0, 0, 0, 0),
    "vfork": (58,),
    "pidfd_send_signal": (424, 0, 9, 0, 0),
    "sigaction": (13, 25, 0, 0, 8),
    "sigaltstack": (131, 0, 0),
    "ptrace traceme": (101, 0, 0, 0, 0),
    "prctl set_mm": (157, 35, 1, 0, 0, 0),
    "prctl child subreaper": (157, 36, 1, 0, 0, 0),
    "prctl capbset": (157, 23, 0, 0, 0, 0),
    "seccomp filter over it": (317, 1, 0, 0),
    "setuid": (105, 0),
    "setfsuid": (122, 0),
    "setgroups": (116, 0, 0),
    "capset": (126, 0, 0),
    "getppid": (110,),
    "getuid": (102,),
    "prlimit AS": (302, 0, 9, 0, 0),
    "setrlimit old": (160, 0, 0),
    "sched_setattr": (314, 0, 0, 0),
    "timerfd": (283, 1, 0),
    "alarm": (37, 1),
    "eventfd": (290, 0, 0),
    "signalfd": (289, -1, 0, 8, 0),
    "socketpair": (53, 1, 1, 0, 0),
    "socket netlink": (41, 16, 3, 0),
    "socket vsock": (41, 40, 1, 0),
    "socket raw": (41, 2, 3, 1),
    "shmat": (30, 0, 0, 0),
    "copy_file_range": (326, 0, 0, 2, 0, 10, 0),
    "io_setup": (206, 10, 0),
    "io_uring_enter": (426, 0, 0, 0, 0, 0),
    "io_uring_register": (427, 0, 0, 0, 0),
    "keyctl session": (250, 0, -3, 1),
    "request_key": (249, 0, 0, 0, 0),
    "getrandom": (318, 0, 0, 0),
    "clock_settime": (227, 0, 0),
    "adjtimex": (159, 0),
    "settimeofday": (164, 0, 0),
    "rseq": (334, 0, 0, 0, 0),
    "set_robust_list": (273, 0, 24),
    "set_tid_address": (218, 0),
    "futex2 wait": (449, 0, 0, 0, 0, 0),
    "futex_waitv": (449, 0, 0, 0, 0, 0),
    "cachestat": (451, 2, 0, 0, 0),
    "map_shadow_stack": (453, 0, 4096, 0),
    "reboot": (169, 0, 0, 0, 0),
    "init_module": (175, 0, 0, 0),
    "acct": (163, 0),
    "quotactl": (179, 0, 0, 0, 0),
    "lookup_dcookie": (212, 0, 0, 0),
}
"""Attempt -> number of a system call on x86-64, and its arguments."""

OWN_ATTEMPTS = {
    **{name: lambda _, call=call: _call(*call) for name, call in _NUMBERS.items()},
    # descriptors
    "ioctl FIONREAD on pipe": lambda _: fcntl.ioctl(int(sys.argv[1]), 0x541B, b"\0" * 4),
    "TIOCSTI stdin": lambda _: _call(16, 0, 0x5412, _path("x")),
    "F_SETOWN parent": lambda _: fcntl.fcntl(int(sys.argv[1]), fcntl.F_SETOWN, os.getppid()),
    "F_SETPIPE_SZ": lambda _: fcntl.fcntl(int(sys.argv[2]), 1031, 1 << 24),
    "F_DUPFD": lambda _: fcntl.fcntl(2, fcntl.F_DUPFD, 10),
    "dup3": lambda _: os.dup2(2, 30),
    "ftruncate stderr": lambda _: os.ftruncate(2, 1 << 19),
    "fallocate stderr": lambda _: os.posix_fallocate(2, 0, 1 << 19),
    "fchmod stderr": lambda _: os.fchmod(2, 0o4777),
    "fchown stderr": lambda _: os.fchown(2, 0, 0),
    "linkat stderr back": lambda path: _call(265, 2, _path(""), -100, _path(path + ".x"), 0x1000),
    "linkat proc fd": lambda path: _call(265, -100, _path("/proc/self/fd/2"), -100, _path(path + ".y"), 0x400),
    "execveat stderr": lambda _: _call(322, 2, _path(""), 0, 0, 0x1000),
    "flock stderr": lambda _: fcntl.flock(2, fcntl.LOCK_EX),
    "fsync": lambda _: os.fsync(2),
    "sparse stderr": lambda _: _stderr_far(),
    "pwrite stderr": lambda _: os.pwrite(2, b"x", 0),
    "openat O_TMPFILE": lambda _: _call(257, -100, _path("/tmp"), 0o20200000 | 2, 0o600),
    "open dev mem": lambda _: _call(2, _path("/dev/mem"), 0),
    "open relative fd of /proc/self": lambda _: _call(257, 3, _path("../mem"), 2),
    "creat": lambda path: _call(85, _path(path + ".creat"), 0o777),
    "statx": lambda path: _call(332, -100, _path(path), 0, 0xFFF, 0),
    "readlink exe": lambda _: Path("/proc/self/exe").readlink(),
    "access": lambda _: _call(21, _path("/etc/shadow"), 4),
    "symlink": lambda path: Path(path + ".s").symlink_to("/etc/shadow"),
    "setxattr": lambda path: os.setxattr(path, "user.x", b"1"),
    "inotify": lambda _: _call(254, 0, _path("/tmp"), 0xFFF),
    "name_to_handle": lambda _: _call(303, -100, _path("/etc/shadow"), 0, 0, 0),
    # memory
    "mprotect RWX": lambda _: _mprotect_exec(7),
    "mprotect X": lambda _: _mprotect_exec(4),
    "mprotect high bits": lambda _: _mprotect_exec(4 | 1 << 32),
    "mprotect growsdown exec": lambda _: _mprotect_exec(4 | 0x01000000),
    "mmap X": lambda _: _call(9, 0, 4096, 5, 0x22, -1, 0),
    "mmap zero page": lambda _: _call(9, 0, 4096, 3, 0x32, -1, 0),
    "mmap huge tlb": lambda _: _call(9, 0, 1 << 21, 3, 0x40022, -1, 0),
    "memfd+exec": lambda _: os.execve(os.memfd_create("x"), ["x"], {}),
    "madvise hwpoison": lambda _: _call(
        28, ctypes.addressof(ctypes.c_char.from_buffer(mmap.mmap(-1, 4096))), 4096, 100
    ),
    "madvise soft offline": lambda _: _call(
        28, ctypes.addressof(ctypes.c_char.from_buffer(mmap.mmap(-1, 4096))), 4096, 101
    ),
    "arch_prctl gs": lambda _: _call(158, 0x1001, 0),
    "ioperm": lambda _: _call(173, 0x70, 2, 1),
    "move_pages parent": lambda _: _call(279, os.getppid(), 0, 0, 0, 0, 0),
    "kcmp": lambda _: _call(312, os.getpid(), os.getpid(), 0, 0, 0),
    # processes and signals
    "clone thread": lambda _: _call(56, 0x3D0F00, 0, 0, 0, 0),
    "clone newuser": lambda _: _call(56, 0x10000000 | 17, 0, 0, 0, 0),
    "unshare user": lambda _: _call(272, 0x10000000),
    "kill -1": lambda _: os.kill(-1, signal.SIGKILL),
    "kill high bits": lambda _: _call(62, (1 << 32) | os.getppid(), 0),
    "kill own pid with high bits": lambda _: _call(62, (1 << 32) | os.getpid(), 0),
    "kill minus own": lambda _: os.kill(-os.getpid(), 0),
    "tkill parent": lambda _: _call(200, os.getppid(), 0),
    "tgkill parent": lambda _: _call(234, os.getppid(), os.getppid(), 0),
    "tgkill other tid": lambda _: _call(234, os.getpid(), os.getppid(), 0),
    "rt_sigqueueinfo": lambda _: _call(129, os.getppid(), 9, 0),
    "rt_tgsigqueueinfo": lambda _: _call(297, os.getppid(), os.getppid(), 9, 0),
    "setsid": lambda _: os.setsid(),
    "setpgid": lambda _: os.setpgid(0, os.getppid()),
    "wait4": lambda _: os.waitpid(-1, os.WNOHANG),
    "ptrace seize parent": lambda _: _call(101, 0x4206, os.getppid(), 0, 0),
    "prctl set_name": lambda _: _call(157, 15, _path("sshd"), 0, 0, 0),
    "prctl ptracer any": lambda _: _call(157, 0x59616D61, -1, 0, 0, 0),
    "uname": lambda _: os.uname(),
    "prlimit parent": lambda _: _call(302, os.getppid(), 0, 0, 0),
    "prlimit high bits": lambda _: _call(302, 1 << 32, 0, 0, 0),
    "prlimit own by pid": lambda _: _call(302, os.getpid(), 0, 0, 0),
    "prlimit resource high bits": lambda _: _call(302, 0, 1 << 32 | 9, 0, 0),
    "sched_setscheduler fifo": lambda _: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "ioprio": lambda _: _call(251, 1, 0, 1 << 13),
    # IPC, timers
    "setitimer": lambda _: signal.setitimer(signal.ITIMER_REAL, 1),
    "epoll": lambda _: select.epoll(),
    "poll": lambda _: select.select([0], [], [], 0),
    "semget": lambda _: _call(64, 0, 1, 0o1666),
    "msgget": lambda _: _call(68, 0, 0o1666),
    "vmsplice": lambda _: _call(278, int(sys.argv[2]), 0, 0, 0),
    "tee": lambda _: _call(276, int(sys.argv[1]), int(sys.argv[2]), 4096, 0),
    "get_robust_list parent": lambda _: _call(274, os.getppid(), 0, 0),
    "fsopen": lambda _: _call(430, _path("proc"), 0),
    "open_tree": lambda _: _call(428, -100, _path("/"), 1),
    "move_mount": lambda _: _call(429, -100, _path("/"), -100, _path("/"), 0),
    "pivot_root": lambda _: _call(155, _path("/"), _path("/")),
    "getcwd": lambda _: _call(79, 0, 0),
    "x32 open": lambda _: _call(_X32 | 2, _path("/etc/shadow"), 0),
    "x32 execve": lambda _: _call(_X32 | 520, _path("/bin/true"), 0, 0),
    "i386 getpid by int 0x80": lambda _: _int80(20),
    "i386 fork by int 0x80": lambda _: _int80(2),
    "i386 exit by int 0x80": lambda _: _int80(1),
    "negative call": lambda _: _call(-1),
    "calls of later kernels": lambda _: _none_but_errors(range(462, 2000)),
    "import socketserver": lambda _: __import__("socketserver"),
    "Path.home": lambda _: Path("~root/.ssh").expanduser().iterdir().__next__(),
}
