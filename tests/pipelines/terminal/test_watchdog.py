"""A job in which nothing happens is ended with a sentence; one that finishes tracks or uses the processor is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.terminal.watchdog import StallDetector
from tests.support.waiting import PATIENCE_S


@pytest.mark.parametrize(
    ("tracks", "cpu", "stalled"),
    [
        (lambda t: t // 30, lambda t: 0.0, False),
        (lambda t: 5, lambda t: 0.5 * t, False),
        (lambda t: 5, lambda t: 0.0, True),
        (lambda t: 5, lambda t: 0.001 * t, True),  # idle threads of libraries
    ],
    ids=["tracks", "processor", "nothing", "idle"],
)
def test_what_counts_as_progress(tracks, cpu, stalled):
    now = 0.0
    progress = StallDetector(60, lambda: int(tracks(now)), lambda: cpu(now))
    seen = []
    for now in range(0, 600, 5):
        seen.append(progress.has_stalled(float(now)))
    assert any(seen) is stalled
    assert not any(seen[: 60 // 5])


def test_a_job_that_hangs_is_ended(tmp_path):
    script = (
        "import tempfile, time\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "from pipelines.terminal.watchdog import ended_if_stalled\n"
        "with ended_if_stalled(1.0):\n"
        "    time.sleep(3600)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S, env=env)
    (log,) = Path(tmp_path).glob("catalog-tagger-hang-*.log")
    assert done.returncode == 1
    assert (
        done.stderr.startswith("catalog-tagger: the job hangs: for 1 s no track was finished")
        and str(log) in done.stderr
    )
    assert "File" in log.read_text()
