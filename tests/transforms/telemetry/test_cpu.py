"""Processor time of blocks: work counts and sleep does not, library threads count once."""

import threading
import time

import numpy as np
from threadpoolctl import threadpool_limits

from transforms.telemetry.cpu import CoreTime

LONG_S = 0.3


def _work(seconds: float) -> None:
    start = time.thread_time()
    while time.thread_time() - start < seconds:
        pass


def test_work_counts_and_sleep_does_not() -> None:
    with CoreTime() as core:
        _work(LONG_S)
        time.sleep(LONG_S)
    assert LONG_S <= core.microseconds / 1e6 < 2 * LONG_S


def test_the_work_of_other_python_threads_does_not_count() -> None:
    thread = threading.Thread(target=_work, args=(LONG_S,))
    with CoreTime() as core:
        thread.start()
        thread.join()
    assert core.microseconds / 1e6 < LONG_S / 2


def _multiply(seconds: float) -> float:
    """Multiplies matrices for so long; returns the processor time of this thread alone."""
    matrix, start, wall = np.ones((600, 600)), time.thread_time(), time.monotonic()
    while time.monotonic() - wall < seconds:
        matrix @ matrix
    return time.thread_time() - start


def test_threads_of_a_library_count() -> None:
    with threadpool_limits(2, "blas"):
        _multiply(0.1)  # starts the threads
        with CoreTime() as core:
            own_s = _multiply(3 * LONG_S)
    assert core.microseconds / 1e6 > 1.2 * own_s


def test_threads_of_a_library_count_once_for_blocks_at_the_same_time() -> None:
    found = []

    def block() -> None:
        with CoreTime() as core:
            _multiply(3 * LONG_S)
        found.append(core.microseconds / 1e6)

    before = time.process_time()
    with threadpool_limits(2, "blas"):
        threads = [threading.Thread(target=block) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(found) < 1.1 * (time.process_time() - before) + 0.1
