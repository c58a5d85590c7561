"""Processor time of blocks: work counts and sleep does not, library threads count once."""

import os
import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from transforms.telemetry.cpu import CoreTime, library_ticks

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


def _multiply(seconds: float) -> None:
    """Multiplies matrices until this thread has used so much processor time."""
    matrix, start = np.ones((600, 600)), time.thread_time()
    while time.thread_time() - start < seconds:
        matrix @ matrix


def _library_s() -> float:
    return sum(library_ticks().values()) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="the library starts no thread on a single core")
def test_threads_of_a_library_count() -> None:
    with threadpool_limits(2, "blas"):
        _multiply(0.1)  # starts the threads
        before, start = _library_s(), time.thread_time()
        with CoreTime() as core:
            for _ in range(100):
                _multiply(LONG_S)
                if _library_s() - before > LONG_S:
                    break
        own_s, library_s = time.thread_time() - start, _library_s() - before
    assert library_s > LONG_S, "the other threads never worked"
    assert LONG_S < core.microseconds / 1e6 - own_s + 0.02 < library_s + 0.05


def test_threads_of_a_library_count_once_for_blocks_at_the_same_time() -> None:
    found = []

    def block() -> None:
        with CoreTime() as core:
            _multiply(LONG_S)
        found.append(core.microseconds / 1e6)

    before = time.process_time()
    with threadpool_limits(2, "blas"):
        threads = [threading.Thread(target=block) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(found) < 1.1 * (time.process_time() - before) + 0.1
