"""Threads that share a file read what they have sought, each for itself."""

import io
import random
import sys
import threading
import time

import pytest

from transforms.table.shared_file import SharedFile

DATA = random.Random(0).randbytes(50_000)


class Slow(io.BytesIO):
    """Lets other threads run between its seek and its read."""

    def seek(self, offset: int, whence: int = 0) -> int:
        found = super().seek(offset, whence)
        time.sleep(0)
        return found


def wrong_reads(file, seed: int, found: list[int]) -> None:
    rng = random.Random(seed)
    for _ in range(300):
        at, size = rng.randrange(len(DATA)), rng.randrange(200)
        file.seek(at)
        time.sleep(0)
        if file.read(size) != DATA[at : at + size]:
            found.append(at)


def reads_of_threads(file) -> list[int]:
    found: list[int] = []
    threads = [threading.Thread(target=wrong_reads, args=(file, seed, found)) for seed in range(6)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    return found


def test_every_thread_has_its_position():
    assert reads_of_threads(SharedFile(Slow(DATA))) == []


def test_a_plain_file_has_one_for_all():
    assert reads_of_threads(Slow(DATA)), "the check sees what SharedFile is for"


def test_it_reads_like_a_file():
    file, plain = SharedFile(io.BytesIO(DATA)), io.BytesIO(DATA)
    for move in ((10,), (-5, 2), (3, 1), (len(DATA) + 9,), (0,)):
        assert file.seek(*move) == plain.seek(*move)
        assert file.read(7) == plain.read(7) and file.tell() == plain.tell()
    assert file.read() == plain.read() and file.read() == b""
    with pytest.raises(ValueError, match="before the start"):
        file.seek(-1)
    file.close()
    assert file.closed
