"""The child process of the sandbox: `python -m transforms.extraction.child REQUEST_FD ANSWER_FD`.

It imports neither librosa nor numba nor Beam, lowers its own limits before it sees a file, and answers one at a time.
An error that is no TrackError ends it: the parent reads the rest from its exit status.
"""

import ctypes
import errno
import importlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from transforms.audio.errors import MemoryLimit, ResourceLimit, TrackError
from transforms.audio.limits import MIB, Limits
from transforms.extraction import protocol as wire
from transforms.extraction.seccomp import forbid_programs_and_sockets
from transforms.features.extract import Features, core_seconds
from transforms.features.logmel import hand_over_mel_matrix
from transforms.features.spec import FeatureSpec

Extract = Callable[[bytes, FeatureSpec, Limits], Features]

_PR_SET_PDEATHSIG = 1
_WRITTEN_BYTES = MIB
"""Files that a child may write: its own last words on stderr, nothing of a track's size."""

_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EPERM, errno.EFBIG, errno.ENOSPC)


def main(request_fd: int, answer_fd: int) -> None:
    """Serve files until the parent closes its end."""
    head, body = wire.receive(request_fd)
    spec, limits = FeatureSpec.from_json(head["spec"]), Limits(**head["limits"])
    hand_over_mel_matrix(spec, np.frombuffer(body, "<f4").reshape(spec.n_fft // 2 + 1, spec.n_mels))
    extract = _load(head["extractor"])
    lower_limits(limits)
    wire.send(answer_fd, {"unconfined": forbid_programs_and_sockets()})
    while True:
        try:
            _, data = wire.receive(request_fd)
        except wire.Closed:
            return
        except MemoryError:
            sys.exit(wire.NO_MEMORY)
        _renew_cpu_time(limits)
        _answer(answer_fd, extract, data, spec, limits)
        del data  # its memory is the next file's


def _load(name: str) -> Extract:
    module, _, function = name.partition(":")
    loaded: Extract = getattr(importlib.import_module(module), function)
    return loaded


def lower_limits(limits: Limits) -> None:
    """Bound this process, and end it when its parent ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for kind, value in (
        (resource.RLIMIT_AS, limits.address_space_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_FSIZE, _WRITTEN_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        most = _granted(kind, value)
        resource.setrlimit(kind, (most, most))


def _granted(kind: int, value: int) -> int:
    """So much of a resource, or what this process may have at most."""
    _, hard = resource.getrlimit(kind)
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _renew_cpu_time(limits: Limits) -> None:
    """Grant each track its own processor time: the kernel counts over the process's life."""
    used = int(core_seconds()) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (_granted(resource.RLIMIT_CPU, used + limits.cpu_s), hard))


def _answer(fd: int, extract: Extract, data: bytes, spec: FeatureSpec, limits: Limits) -> None:
    pid, open_files, start = os.getpid(), _open_files(), core_seconds()
    try:
        features = extract(data, spec, limits)
        _check_left_behind(pid, open_files)
    except TrackError as error:
        _refuse(fd, pid, error, start)
    except MemoryError:
        _refuse(fd, pid, MemoryLimit(f"more than {limits.address_space_bytes} bytes of address space"), start)
    except OSError as error:
        _only_in(pid)
        if error.errno not in _OUT_OF_RESOURCES:
            raise
        _refuse(fd, pid, ResourceLimit(os.strerror(error.errno)), start)
    else:
        wire.send_features(fd, features)


def _refuse(fd: int, pid: int, error: TrackError, start: float) -> None:
    """Answers with an error and the processor time since `start`."""
    _only_in(pid)
    error.core_us = round(1e6 * (core_seconds() - start))
    wire.send_error(fd, error)


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _only_in(pid: int) -> None:
    """End a process that a decoder forked: only the child itself may answer."""
    if os.getpid() != pid:
        os._exit(1)


def _check_left_behind(pid: int, open_files: int) -> None:
    """Refuse a decoder that forked or leaked."""
    _only_in(pid)
    if _open_files() > open_files:
        raise ResourceLimit("the decoder left files open")
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return
    raise ResourceLimit("the decoder left processes behind")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
