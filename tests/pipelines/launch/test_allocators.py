"""Freed memory goes back to the system, between blocks that are still held, too."""

import subprocess
import sys

import pytest

from tests.support.processes import ROOT

CODE = """
import os, sys
from pipelines.launch.allocators import return_freed_memory, trim_heap

def resident_mib():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

return_freed_memory()
assert os.environ["ARROW_DEFAULT_MEMORY_POOL"] == "system"
before = resident_mib()
blocks = [bytes(bytearray(b"x") * 100_000) for _ in range(1_000)]
held = blocks[::10]
full = resident_mib()
del blocks
freed = resident_mib()
trim_heap()
print(full - before, freed - before, resident_mib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_pages_between_held_blocks_go_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    full, freed, trimmed = map(float, done.stdout.split())
    assert full > 90 and freed > 80, "without trimming, the pages stay"
    assert trimmed < 20, "a tenth is still held"
