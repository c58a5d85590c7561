"""A decoder for tests that tries what a file that has taken it over would try.

The first line of its input names the attempt. The detail of the reject is the error's name, or `succeeded`.
"""

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import subprocess
import threading
from pathlib import Path

from transforms.audio.errors import DecodeError

LIBC = ctypes.CDLL(None, use_errno=True)
SYSCALLS = {
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "userfaultfd": 323,
    "bpf": 321,
    "io_uring_setup": 425,
    "pidfd_open": 434,
    "pidfd_getfd": 438,
    "memfd_create": 319,
    "ptrace": 101,
    "add_key": 248,
    "keyctl": 250,
    "perf_event_open": 298,
    "open_by_handle_at": 304,
    "openat2": 437,
    "clone3": 435,
    "unshare": 272,
    "setns": 308,
    "mount": 165,
    "chroot": 161,
    "personality": 135,
    "sysinfo": 99,
    "kexec_load": 246,
    "splice": 275,
    "sendfile": 40,
    "fanotify_init": 300,
    "inotify_init1": 294,
    "timer_create": 222,
    "shmget": 29,
    "mq_open": 240,
    "landlock_create_ruleset": 444,
    "seccomp": 317,
    "a call of a later kernel": 999,
}
"""Numbers on x86-64: attempts by number run there alone."""

_TKILL = 200


def tried(data, spec, limits):
    """Does what the input names; the reject's detail is the error, or `succeeded`."""
    name, _, argument = data.decode().partition("\n")
    try:
        ATTEMPTS[name](argument)
    except Exception as error:
        raise DecodeError(type(error).__name__) from error
    raise DecodeError("succeeded")


def _call(number, *args):
    if LIBC.syscall(number, *args) == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), "refused")


def _write(path, data=b"x"):
    with Path(path).open("r+b") as file:
        file.write(data)


def _prctl(option, value):
    if LIBC.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "refused")


def _execute(memory):
    memory.write(b"\xc3")
    memory.close()


def _connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.connect(address)


def _signal_itself(send):
    """Every signal but SIGABRT, which is for abort(): SIGKILL would look like the kernel's without memory."""
    refused = 0
    for number in sorted(signal.valid_signals() - {signal.SIGABRT}):
        try:
            send(number)
        except PermissionError:
            refused += 1
    if refused == len(signal.valid_signals()) - 1:
        raise PermissionError


def _lower_own_hard_limit():
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True:
        pass  # the kernel would end it by SIGKILL


ATTEMPTS = {
    "read the parent's memory": lambda _: Path(f"/proc/{os.getppid()}/mem").open("rb"),
    "write the parent's memory": lambda _: Path(f"/proc/{os.getppid()}/mem").open("r+b"),
    "read the parent's environment": lambda _: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    "read its own memory file": lambda _: Path("/proc/self/mem").open("r+b"),
    "list processes": lambda _: os.listdir("/proc"),
    "read /etc/shadow": lambda _: Path("/etc/shadow").read_bytes(),
    "read /etc/passwd": lambda _: Path("/etc/passwd").read_bytes(),
    "read a published file": lambda path: Path(path).read_bytes(),
    "overwrite a published file": lambda path: _write(path),
    "truncate a published file": lambda path: os.truncate(path, 0),
    "unlink a published file": lambda path: os.unlink(path),
    "rename a published file": lambda path: os.rename(path, f"{path}.moved"),
    "link a published file": lambda path: os.link(path, f"{path}.linked"),
    "change a file's mode": lambda path: os.chmod(path, 0o777),
    "change a file's owner": lambda path: os.chown(path, 0, 0),
    "change a file's times": lambda path: os.utime(path),
    "look at a file": lambda path: os.stat(path),
    "create a file": lambda path: Path(f"{path}.new").write_bytes(b"x"),
    "create a folder": lambda path: os.mkdir(f"{path}.folder"),
    "create a device": lambda path: os.mknod(f"{path}.fifo"),
    "change the folder": lambda _: os.chdir("/"),
    "kill the parent": lambda _: os.kill(os.getppid(), signal.SIGTERM),
    "look for the parent": lambda _: os.kill(os.getppid(), 0),
    "kill a sibling": lambda pid: os.kill(int(pid), signal.SIGKILL),
    "kill its group": lambda _: os.killpg(0, 0),
    "reach everything": lambda _: os.kill(-1, 0),
    "kill itself": lambda _: _signal_itself(lambda number: os.kill(os.getpid(), number)),
    "kill its thread": lambda _: _signal_itself(lambda number: signal.pthread_kill(threading.get_ident(), number)),
    "kill its thread by another call": lambda _: _signal_itself(lambda number: _call(_TKILL, os.getpid(), number)),
    "abort its parent": lambda _: os.kill(os.getppid(), signal.SIGABRT),
    "be killed for its processor time": lambda _: _lower_own_hard_limit(),
    "set an alarm": lambda _: signal.setitimer(signal.ITIMER_REAL, 0.01),
    "outlive the parent": lambda _: _prctl(1, 0),
    "be dumpable": lambda _: _prctl(4, 1),
    "become root": lambda _: os.setresuid(0, 0, 0),
    "start a program": lambda _: subprocess.run(["/bin/true"], check=True),
    "fork": lambda _: os.fork() or os._exit(0),
    "start a thread": lambda _: threading.Thread(target=int).start(),
    "open a TCP connection": lambda _: _connect(socket.AF_INET, ("127.0.0.1", 1)),
    "open a UNIX socket": lambda _: _connect(socket.AF_UNIX, "\0nobody"),
    "make a socket pair": lambda _: socket.socketpair(),
    "make a pipe": lambda _: os.pipe(),
    "copy a descriptor": lambda _: os.dup(2),
    "keep a descriptor over exec": lambda _: fcntl.fcntl(2, fcntl.F_SETFD, 0),
    "type into a terminal": lambda _: fcntl.ioctl(2, 0x5412, b"x"),
    "make memory executable": lambda _: _execute(mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)),
    "raise its memory limit": lambda _: resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40)),
    "raise its limit of files": lambda _: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)),
    "limit the parent": lambda _: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1)),
    "change its priority": lambda _: os.setpriority(os.PRIO_PROCESS, 0, -5),
    "choose its cores": lambda _: os.sched_setaffinity(0, {0}),
    "handle a signal": lambda _: signal.signal(signal.SIGXCPU, signal.SIG_IGN),
    **{f"system call {name}": lambda _, number=number: _call(number, 0, 0, 0, 0) for name, number in SYSCALLS.items()},
    "another child's environment": lambda pid: Path(f"/proc/{pid}/environ").read_bytes(),
    "load a library": lambda _: ctypes.CDLL("libutil.so.1"),
    "import a module": lambda _: __import__("sqlite3"),
    "set the time": lambda _: __import__("time").clock_settime(0, 0),
    "swap off": lambda _: _call(168, b"/"),
    "log to the kernel": lambda _: _call(103, 2, 0, 0),
    "name the machine": lambda _: socket.sethostname("x"),
}
"""Attempt -> how; its argument, the second line of the input, is a path or a process id where one is needed."""
