"""The child process of the sandbox: `python -m transforms.extraction.child REQUEST_FD ANSWER_FD`.

It imports neither librosa nor numba nor Beam. Before it sees a file it imports every decoder, lowers its own limits and
gives up everything that decoding does not need (see `confinement`). It answers one file at a time.
An error that is no TrackError ends it: the parent reads the rest from its exit status.
"""

import contextlib
import errno
import functools
import importlib
import io
import os
import pkgutil
import resource
import signal
import sys
from collections.abc import Callable

import av
import numpy as np
import soundfile

from transforms.audio.errors import MemoryLimit, ResourceLimit, TrackError
from transforms.audio.limits import MIB, Limits
from transforms.extraction import protocol as wire
from transforms.extraction.answers import Recipient, send_error, send_features
from transforms.extraction.confinement import confine, is_weak
from transforms.features.extract import Features, core_seconds
from transforms.features.extract import extract as run_extract
from transforms.features.logmel import hand_over_mel_matrix
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.spec import FeatureSpec

Extract = Callable[..., Features]
"""Takes the bytes of a file, a feature spec and limits, and a `ParametersSpec` where parameters are measured."""

DECODERS = (
    "transforms.audio.decoders.av_source",
    "transforms.audio.decoders.chained_source",
    "transforms.audio.decoders.mpeg_source",
)
"""Modules that extraction imports when a file needs them: a confined process imports nothing."""

_WRITTEN_BYTES = MIB
"""Files that a child may write: its own last words on stderr, nothing of a track's size."""

_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EPERM, errno.EFBIG, errno.ENOSPC)


def main(request_fd: int, answer_fd: int) -> None:
    """Serve files until the parent closes its end."""
    head, body = wire.receive(request_fd)
    spec, limits = FeatureSpec.from_json(head["spec"]), Limits(**head["limits"])
    hand_over_mel_matrix(spec, np.frombuffer(body, "<f4").reshape(spec.n_fft // 2 + 1, spec.n_mels))
    extract = _load(head["extractor"])
    parameters = None if head["parameters"] is None else ParametersSpec.from_json(head["parameters"])
    _warm_up(spec, parameters)
    lower_limits(limits)
    measures = confine()
    wire.send(answer_fd, {"confinement": measures})
    while True:
        try:
            head, data = wire.receive(request_fd)
        except wire.Closed:
            return
        except MemoryError:
            sys.exit(wire.NO_MEMORY)
        _renew_cpu_time(limits)
        arguments = (spec, limits) if parameters is None or not head["measured"] else (spec, limits, parameters)
        run = functools.partial(extract, data, *arguments)
        _answer(Recipient(answer_fd, head["number"]), run, limits, is_weak(measures))
        del data, run  # its memory is the next file's


def _warm_up(spec: FeatureSpec, parameters: ParametersSpec | None) -> None:
    """Takes what a confined process cannot: modules, a descriptor, and libffi's memory for libsndfile's callbacks."""
    for name in DECODERS:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(av.__path__, "av."):  # PyAV imports parts of itself when a stream needs them
        if not module.name.startswith("av.__"):
            importlib.import_module(module.name)
    noise = np.random.default_rng(0).normal(scale=0.1, size=(round(44_100 * (spec.patch_s + spec.min_duration_s)), 2))
    file = io.BytesIO()
    soundfile.write(file, noise, 44_100, format="WAV")
    run_extract(file.getvalue(), spec, Limits(), parameters)


def _load(name: str) -> Extract:
    module, _, function = name.partition(":")
    loaded: Extract = getattr(importlib.import_module(module), function)
    return loaded


def lower_limits(limits: Limits) -> None:
    """Bounds the resources of this process."""
    for kind, value in (
        (resource.RLIMIT_AS, limits.address_space_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_FSIZE, _WRITTEN_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        most = _granted(kind, value)
        resource.setrlimit(kind, (most, most))
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))  # it counts over the process's life, not per track


def _granted(kind: int, value: int) -> int:
    """So much of a resource, or what this process may have at most."""
    _, hard = resource.getrlimit(kind)
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _renew_cpu_time(limits: Limits) -> None:
    """Grants each track its own processor time, by a timer: at its end comes SIGPROF.

    A process may lower its hard limit of processor time, and is then killed as by the machine.
    """
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_s)


def _answer(to: Recipient, extract: Callable[[], Features], limits: Limits, weak: bool) -> None:
    pid, open_files, start = os.getpid(), _open_files() if weak else 0, core_seconds()
    try:
        features = extract()
        if weak:  # else the kernel has refused to open a file or to start a process
            _check_left_behind(pid, open_files)
    except TrackError as error:
        _refuse(to, pid, error, start)
    except MemoryError:
        _refuse(to, pid, MemoryLimit(f"more than {limits.address_space_bytes} bytes of address space"), start)
    except OSError as error:
        _only_in(pid)
        if error.errno not in _OUT_OF_RESOURCES:
            raise
        _refuse(to, pid, ResourceLimit(os.strerror(error.errno)), start)
    else:
        send_features(to, features)


def _refuse(to: Recipient, pid: int, error: TrackError, start: float) -> None:
    """Answers with an error and the processor time since `start`."""
    _only_in(pid)
    error.core_us = round(1e6 * (core_seconds() - start))
    send_error(to, error)


def _open_files() -> int:
    """Descriptors that are open, counted without opening one: the file system may be out of reach."""
    found = 0
    for number in range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]):
        with contextlib.suppress(OSError):
            os.fstat(number)
            found += 1
    return found


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
