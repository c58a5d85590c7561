"""One child process of the sandbox, as its parent sees it: start, one file at a time, cause of death, cost."""

import contextlib
import dataclasses
import functools
import logging
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time

from transforms.audio.errors import Crash, MemoryLimit, ResourceLimit, Timeout, TrackError, Unknown
from transforms.audio.limits import MIB, Limits
from transforms.extraction import protocol as wire
from transforms.extraction.answers import MOST_HEAD_BYTES, most_body_bytes, parse_answer, plain_text
from transforms.extraction.confinement import SECCOMP, is_weak
from transforms.features.extract import Features
from transforms.features.logmel import mel_matrix
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.spec import FeatureSpec

_log = logging.getLogger(__name__)
_START_S = 120.0
"""Longest that a child may take to import its modules, on a machine that is very busy."""

_PROCESS_CLOCK = 2
"""Linux numbers the clock of a process by its inverted id, shifted by three bits, and the kind of clock."""


_OWN_FAULTS = {
    getattr(signal, name) for name in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS")
}
"""Signals that a process causes itself. All others come from outside, such as SIGKILL when memory runs out."""


class SandboxError(RuntimeError):
    """Child processes cannot be started here: a fault of the machine, not of a track."""


class ChildLost(Exception):
    """The machine ended the child. The message says how.

    Attributes:
      core_us: processor time that the child had spent on its track, microseconds.
    """

    core_us: int = 0


class ChildNotStarted(ChildLost):
    """The child ended before it could take a track.

    Attributes:
      by_itself: whether it ended with an exit status: it would do so again.
    """

    def __init__(self, message: str, *, by_itself: bool = False) -> None:
        super().__init__(message)
        self.by_itself = by_itself


class ChildProcess:
    """One child process and the pipes to it. Used by the one thread that started it."""

    def __init__(
        self, spec: FeatureSpec, limits: Limits, extractor: str, parameters: ParametersSpec | None = None
    ) -> None:
        self._spec, self._limits, self._parameters = spec, limits, parameters
        self._most_body = most_body_bytes(spec, parameters)
        self.tracks_left = limits.tracks_per_child
        self._held = contextlib.ExitStack()
        try:
            self._start()
            self._greet(spec, extractor)
        except OSError as error:
            self.close()
            raise ChildNotStarted(f"not started: {error}") from error
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        """Starts the process. What the parent keeps of it is in `_held`."""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the child)
        self._held.callback(self._stderr.close)
        with contextlib.ExitStack() as of_child:
            request_read, self._request = os.pipe()
            of_child.callback(os.close, request_read)
            self._held.callback(os.close, self._request)
            self._answer, answer_write = os.pipe()
            of_child.callback(os.close, answer_write)
            self._held.callback(os.close, self._answer)
            wire.widen(self._request)
            wire.widen(self._answer)
            os.set_blocking(self._request, False)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "transforms.extraction.child", str(request_read), str(answer_write)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=(request_read, answer_write),
                env=_environment(),
                start_new_session=True,
            )
            self._held.callback(self.end)

    def _greet(self, spec: FeatureSpec, extractor: str) -> None:
        head = {
            "spec": spec.to_json(),
            "limits": dataclasses.asdict(self._limits),
            "extractor": extractor,
            "parameters": self._parameters and self._parameters.to_json(),
        }
        try:
            deadline = time.monotonic() + _START_S
            wire.send(self._request, head, mel_matrix(spec).astype("<f4").tobytes(), deadline)
            hello, _ = wire.receive(self._answer, deadline, most_head=MOST_HEAD_BYTES, most_body=0)
        except (wire.Closed, BrokenPipeError) as error:
            status = self._wait()
            how = f"exit status {status}: {self._last_words()}" if status >= 0 else _signal_name(-status)
            raise ChildNotStarted(f"not started: {how}", by_itself=status >= 0) from error
        except (wire.Late, wire.Garbled) as error:
            raise ChildNotStarted(f"not started: no greeting in {_START_S:g} s: {error}") from error
        self.confinement: dict[str, str] = hello["confinement"]
        if is_weak(self.confinement):
            self._accept_weak(self.confinement[SECCOMP])

    def _accept_weak(self, why: str) -> None:
        """Warns once that decoders are hardly confined, or refuses to start."""
        if not self._limits.allow_weak_sandbox:
            raise SandboxError(f"decoders cannot be confined here: {why}; --allow-weak-sandbox decodes all the same")
        warn_once(why)

    def extract(self, data: bytes, *, measured: bool = True) -> Features:
        """One track's features. Raises TrackError or ChildLost; the child is dead after some of them.

        Args:
          data: the file.
          measured: whether its parameters are measured, if the child has a spec for them.
        """
        self.tracks_left -= 1
        parameters = self._parameters if measured else None
        core, deadline = self._core_seconds(), time.monotonic() + self._limits.wall_s
        try:
            wire.send(self._request, {"number": self.tracks_left, "measured": measured}, data, deadline)
            answer = wire.receive(self._answer, deadline, most_head=MOST_HEAD_BYTES, most_body=self._most_body)
            return parse_answer(self.tracks_left, *answer, self._spec, self._limits, parameters)
        except wire.Late:
            spent = self._core_seconds() - core
            self.end()
            raise _after(spent, Timeout(f"no answer after {self._limits.wall_s:g} s")) from None
        except (wire.Closed, BrokenPipeError):
            spent = self._core_seconds() - core
            raise _after(spent, self._post_mortem()) from None
        except wire.Garbled as error:
            spent = self._core_seconds() - core
            self.end()
            raise _after(spent, Crash(f"the answer makes no sense: {error}")) from error
        except (MemoryLimit, ResourceLimit):
            self.tracks_left = 0  # what is left of its memory and descriptors is not for the next track
            raise

    def _core_seconds(self) -> float:
        """Processor time of the child so far, also of one that has ended and was not waited for; 0 if unknown."""
        try:
            return time.clock_gettime(~self._process.pid << 3 | _PROCESS_CLOCK)
        except OSError:
            return 0.0

    def _wait(self) -> int:
        """Exit status of a child that has closed its pipe."""
        try:
            return self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return 0
        finally:
            self.end()

    def _post_mortem(self) -> TrackError | ChildLost:
        """What ended the child."""
        status = self._wait()
        if status == -signal.SIGPROF:
            return Timeout(f"more than {self._limits.cpu_s} s of processor time")
        if status == -signal.SIGXFSZ:
            return ResourceLimit("the decoder wrote files")
        if status < 0 and -status not in _OWN_FAULTS:
            return ChildLost(_signal_name(-status))
        if status < 0:
            return Crash(f"ended by {_signal_name(-status)}")
        if status == wire.NO_MEMORY:
            return MemoryLimit(f"no room for the file in {self._limits.address_space_bytes} bytes of address space")
        if status == 1:
            return Unknown(self._last_words())
        return Crash(f"ended with exit status {status}")

    def _last_words(self) -> str:
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 2000))
        return plain_text(self._stderr.read().decode(errors="replace").strip())

    def is_spent(self) -> bool:
        """Whether the child is dead or has served its number of tracks."""
        return self.tracks_left <= 0 or self._process.poll() is not None

    def end(self) -> None:
        """Kill the child and every process of its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End the child and free what the parent holds of it."""
        self._held.close()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"


def _after(core_s: float, error: TrackError | ChildLost) -> TrackError | ChildLost:
    """The error, with the processor time that was spent until it was found."""
    error.core_us = max(0, round(1e6 * core_s))
    return error


_PASSED_ON = ("LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "TMPDIR")
"""Variables without which numerics may be wrong on some processors, or libraries not found."""


ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(64 * MIB), "MALLOC_MMAP_THRESHOLD_": str(16 * MIB)}
"""Variables with which freed memory is kept for the next track: taking it from the system again costs a tenth of the
features' time."""


@functools.cache
def warn_once(why: str) -> None:
    """Logs once in this process that children are not confined."""
    _log.warning("weak sandbox: decoders could open files, start programs and connect to other machines: %s", why)


def _module_path() -> list[str]:
    """Where modules are: the standard library first, so that no file in a script's own folder hides a part of it."""
    standard = sysconfig.get_path("stdlib")
    return sorted(filter(None, sys.path), key=lambda path: path not in (standard, f"{standard}/lib-dynload"))


def _environment() -> dict[str, str]:
    """The child's whole environment: where modules are and one thread a process; no credentials, no home."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed_on | {
        "PYTHONPATH": os.pathsep.join(_module_path()),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "LC_ALL": "C.UTF-8",
        **ALLOCATOR,
    }
