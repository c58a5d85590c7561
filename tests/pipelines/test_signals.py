"""Ctrl-C and SIGTERM: one sentence, all child processes ended, exit 130 or 143, within five seconds."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.world import make_world

FIVE_SECONDS = 5.0


def start(words, **options):
    command = [sys.executable, "-m", "pipelines.cli", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def below(pid: int) -> set[int]:
    """Ids of all processes below one."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed in /proc")
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        pytest.param(signal.SIGTERM, 143, "ended by SIGTERM", marks=pytest.mark.long),
    ],
)
def test_tag_is_ended_in_the_middle(tmp_path, number, code, word):
    world, table = make_world(tmp_path / "w", 60), tmp_path / "table"
    words = ["tag", "--catalog", str(world.catalog), "--catalog-root", str(world.folder), "--model", str(world.bundle)]
    process = start([*words, "--table", str(table), "--chunk-tracks", "2", "--max-reject-ratio", "0.9"])
    wait_for(lambda: len(list(table.glob("work/*/*.parquet"))) >= 2, process)
    children, before = below(process.pid), time.monotonic()
    assert children
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - before < FIVE_SECONDS and process.returncode == code
    assert [line for line in err.splitlines() if line] == [
        f"catalog-tagger: {word}; finished work is kept: run the same command again to resume"
    ]
    assert not [child for child in children if is_alive(child)] and not list(table.glob("snapshots/*"))


def test_a_command_that_does_not_react_is_ended(tmp_path):
    (tmp_path / "stuck.py").write_text(
        "import sys, time\n"
        "from pipelines.terminal.signals import end_on_signals\n"
        "end_on_signals()\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    try:\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        pass\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "stuck.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout.readline() == "ready\n"
    before = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - before < FIVE_SECONDS and process.returncode == 143
    assert err == "catalog-tagger: ended by SIGTERM; finished work is kept: run the same command again to resume\n"
