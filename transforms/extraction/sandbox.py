"""Extraction in child processes: whatever a file does to its decoder, it costs that one track."""

import atexit
import concurrent.futures
import contextlib
import dataclasses
import functools
import logging
import os
import queue
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import types
from collections.abc import Callable
from typing import Self

from transforms.audio.errors import Crash, MemoryLimit, ResourceLimit, Timeout, TrackError, Unknown
from transforms.audio.limits import MIB, Limits
from transforms.extraction import protocol as wire
from transforms.extraction.answers import MOST_HEAD_BYTES, most_body_bytes, parse_answer
from transforms.extraction.confinement import SECCOMP, hide_memory, is_weak
from transforms.features.extract import Features
from transforms.features.logmel import mel_matrix
from transforms.features.spec import FeatureSpec

EXTRACTOR = "transforms.features.extract:extract"
_log = logging.getLogger(__name__)
_START_S = 120.0
"""Longest that a child may take to import its modules, on a machine that is very busy."""


class SandboxError(RuntimeError):
    """Child processes cannot be started here: a fault of the machine, not of a track."""


class _Child:
    """One child process and the pipes to it. Used by the one thread that started it."""

    def __init__(self, spec: FeatureSpec, limits: Limits, extractor: str) -> None:
        self._spec, self._limits = spec, limits
        self._most_body = most_body_bytes(spec)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the child)
        request_read, self._request = os.pipe()
        self._answer, answer_write = os.pipe()
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
        os.close(request_read)
        os.close(answer_write)
        self.tracks_left = limits.tracks_per_child
        self._greet(spec, extractor)

    def _greet(self, spec: FeatureSpec, extractor: str) -> None:
        head = {"spec": spec.to_json(), "limits": dataclasses.asdict(self._limits), "extractor": extractor}
        try:
            deadline = time.monotonic() + _START_S
            wire.send(self._request, head, mel_matrix(spec).astype("<f4").tobytes(), deadline)
            hello, _ = wire.receive(self._answer, deadline, most_head=MOST_HEAD_BYTES, most_body=0)
        except (wire.Closed, wire.Late, wire.Garbled, BrokenPipeError) as error:
            self.end()
            raise SandboxError(f"a child process did not start: {self._last_words()}") from error
        self.confinement: dict[str, str] = hello["confinement"]
        if is_weak(self.confinement):
            self._accept_weak(self.confinement[SECCOMP])

    def _accept_weak(self, why: str) -> None:
        """Warns once that decoders are hardly confined, or refuses to start."""
        if not self._limits.allow_weak_sandbox:
            self.end()
            raise SandboxError(f"decoders cannot be confined here: {why}; --allow-weak-sandbox decodes all the same")
        _warn_once(why)

    def extract(self, data: bytes) -> Features:
        """One track's features. Raises TrackError; the child is dead after some of them."""
        self.tracks_left -= 1
        deadline = time.monotonic() + self._limits.wall_s
        try:
            wire.send(self._request, {}, data, deadline)
            answer = wire.receive(self._answer, deadline, most_head=MOST_HEAD_BYTES, most_body=self._most_body)
            return parse_answer(*answer, self._spec, self._limits)
        except wire.Late:
            self.end()
            raise Timeout(f"no answer after {self._limits.wall_s:g} s") from None
        except (wire.Closed, BrokenPipeError):
            raise self._post_mortem() from None
        except wire.Garbled as error:
            self.end()
            raise Crash(f"the answer makes no sense: {error}") from error
        except (MemoryLimit, ResourceLimit):
            self.tracks_left = 0  # what is left of its memory and descriptors is not for the next track
            raise

    def _post_mortem(self) -> TrackError:
        """What killed the child."""
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = 0
        self.end()
        if status == -signal.SIGXCPU:
            return Timeout(f"more than {self._limits.cpu_s} s of processor time")
        if status == -signal.SIGXFSZ:
            return ResourceLimit("the decoder wrote files")
        if status < 0:
            return Crash(f"ended by {signal.Signals(-status).name}")
        if status == wire.NO_MEMORY:
            return MemoryLimit(f"no room for the file in {self._limits.address_space_bytes} bytes of address space")
        if status == 1:
            return Unknown(self._last_words())
        return Crash(f"ended with exit status {status}")

    def _last_words(self) -> str:
        self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, self._stderr.tell() - 2000))
        return self._stderr.read().decode(errors="replace").strip()

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
        self.end()
        os.close(self._request)
        os.close(self._answer)
        self._stderr.close()


_PASSED_ON = ("LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "TMPDIR")
"""Variables without which numerics may be wrong on some processors, or libraries not found."""


@functools.cache
def _warn_once(why: str) -> None:
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
        # Keep freed memory for the next track: taking it from the system again costs a tenth of the features' time.
        "MALLOC_TRIM_THRESHOLD_": str(64 * MIB),
        "MALLOC_MMAP_THRESHOLD_": str(16 * MIB),
    }


class _Seat:
    """A child, and the next one when it is spent. Used by one thread."""

    def __init__(self, start_child: Callable[[], _Child]) -> None:
        self._start_child = start_child
        self._child: _Child | None = None

    def extract(self, data: bytes) -> Features:
        """See _Child.extract. A track that dies of what earlier ones may have left in the child has one more try."""
        is_fresh = self._child is None
        try:
            return self._try(data)
        except (Crash, MemoryLimit):
            if is_fresh:
                raise
        return self._try(data)

    def _try(self, data: bytes) -> Features:
        child = self._child = self._child or self._start_child()
        try:
            return child.extract(data)
        except TrackError:
            raise
        except Exception:
            child.end()  # who knows what its pipes still hold
            raise
        finally:
            if child.is_spent():
                self.close()

    def close(self) -> None:
        """End the child, if there is one."""
        if self._child is not None:
            self._child.close()
            self._child = None


_Job = tuple[bytes, "concurrent.futures.Future[Features]"]


class Sandbox:
    """A pool of child processes that several threads may share.

    Args:
      spec: the features to extract.
      limits: what one track may cost.
      children: child processes, at best as many as the machine has cores.
      extractor: `module:function` with the signature of `extract`.
    """

    def __init__(self, spec: FeatureSpec, limits: Limits, children: int, extractor: str = EXTRACTOR) -> None:
        if children < 1:
            raise ValueError(f"children={children}: at least one is needed")
        self._arguments = (spec, limits, extractor)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        hide_memory()
        mel_matrix(spec)  # made once, before the threads that all need it
        self._threads = [threading.Thread(target=self._serve, daemon=True, name="sandbox") for _ in range(children)]
        self._is_closed = False
        self._confinement: dict[str, str] = {}
        for thread in self._threads:
            thread.start()

    def submit(self, data: bytes) -> "concurrent.futures.Future[Features]":
        """Features of one file, later. The future raises TrackError, or SandboxError where no child starts."""
        if self._is_closed:
            raise SandboxError("the sandbox is closed")
        future: concurrent.futures.Future[Features] = concurrent.futures.Future()
        self._jobs.put((data, future))
        return future

    def confinement(self) -> dict[str, str]:
        """What the last child that started has given up: measure -> `in force`, or why it is not; empty before."""
        return dict(self._confinement)

    def close(self) -> None:
        """End all children after the tracks that were submitted."""
        if self._is_closed:
            return
        self._is_closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.close()

    def _start_child(self) -> _Child:
        child = _Child(*self._arguments)
        self._confinement = child.confinement
        return child

    def _serve(self) -> None:
        """One thread: take a track, answer it."""
        seat = _Seat(self._start_child)
        while (job := self._jobs.get()) is not None:
            data, future = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(seat.extract(data))
            except Exception as error:  # noqa: BLE001 (a future without an answer would hold up the job for ever)
                future.set_exception(error)
        seat.close()


_shared: dict[tuple[FeatureSpec, Limits, int], Sandbox] = {}
_shared_lock = threading.Lock()


def shared_sandbox(spec: FeatureSpec, limits: Limits, children: int) -> Sandbox:
    """The one sandbox of this process for these arguments; closed when the process ends."""
    with _shared_lock:
        key = (spec, limits, children)
        if key not in _shared:
            _shared[key] = Sandbox(spec, limits, children)
            atexit.register(_shared[key].close)
        return _shared[key]
