"""Ends calls of ONNX Runtime that take too long: a network may contain a loop without an end."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

_INTERVAL_S = 0.5


class CallMonitor:
    """One thread that looks at all calls of this process. To watch a call costs some microseconds."""

    def __init__(self) -> None:
        self._calls: dict[object, tuple[float, Any]] = {}
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def ended_after(self, seconds: float, options: Any) -> Iterator[None]:
        """Asks ONNX Runtime to end the call with these `RunOptions` if the block takes longer."""
        call = object()
        self._calls[call] = (time.monotonic() + seconds, options)
        if self._thread is None or not self._thread.is_alive():  # a forked process has no threads
            self._start()
        try:
            yield
        finally:
            del self._calls[call]

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, daemon=True, name="calls-of-networks")
                self._thread.start()

    def _watch(self) -> None:
        while True:
            time.sleep(_INTERVAL_S)
            now = time.monotonic()
            for deadline, options in list(self._calls.values()):
                if now > deadline:
                    options.terminate = True
