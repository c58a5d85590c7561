"""Waits for conditions, never for a time: a busy machine makes a test slow, and not wrong."""

import time
from collections.abc import Callable

PATIENCE_S = 240.0
"""How long a test waits for what must happen. Only a test that fails waits so long."""


def wait_until(condition: Callable[[], object], what: str, pause_s: float = 0.01) -> None:
    """Returns when the condition is true; fails with these words if it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"in {PATIENCE_S:g} s it did not happen that {what}"
        time.sleep(pause_s)
