"""Runs code in a process whose memory is limited, so that a test of a memory limit cannot fill the machine."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETUP = """
import resource, sys

def limit_memory(megabytes):
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
"""


def run_bounded(code: str, *args: str, megabytes: int, imports: str = "") -> str:
    """Output of the code, with at most so much more memory than after its imports. It must not fail."""
    program = f"{SETUP}\n{imports}\nlimit_memory({megabytes})\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program, *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
    return done.stdout
