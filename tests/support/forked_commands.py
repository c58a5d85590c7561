"""Commands of `catalog-tagger` in processes of their own, which may be killed at any time.

A server imports the modules once and forks for each command, so that a test can start a hundred of them.

python -m tests.support.forked_commands LOG MODULE:FUNCTION MODULE...
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import ROOT


class Forked:
    """One command: a group of processes."""

    def __init__(self, server: subprocess.Popen[str], pid: int) -> None:
        self._server, self.pid = server, pid

    @property
    def runs(self) -> bool:
        """Whether the command has not ended."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    def kill(self) -> None:
        """Kills the command and all its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Exit code; that of a killed command is negative."""
        print(json.dumps({"wait": self.pid}), file=self._server.stdin, flush=True)
        return int(self._server.stdout.readline())


class Commands:
    """The server."""

    def __init__(self, server: subprocess.Popen[str], log: Path) -> None:
        self._server, self.log = server, log

    def start(self, *words: object) -> Forked:
        """Starts a command; what it prints is appended to the log."""
        print(json.dumps({"start": [str(word) for word in words]}), file=self._server.stdin, flush=True)
        return Forked(self._server, int(self._server.stdout.readline()))

    def run(self, *words: object) -> int:
        """Runs a command to its end; returns its exit code."""
        return self.start(*words).wait()


@contextlib.contextmanager
def forked_commands(log: Path, *modules: str, entry: str = "pipelines.cli:main") -> Iterator[Commands]:
    """A server that has imported the modules of the commands.

    Args:
      entry: module and function that runs the words of a command and returns an exit code.
    """
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "tests.support.forked_commands", str(log), entry, *modules]
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as server:
        try:
            yield Commands(server, log)
        finally:
            server.stdin.close()
            server.wait()


def _serve(log: str, entry: str, modules: list[str]) -> None:
    place, _, name = entry.partition(":")
    main = getattr(importlib.import_module(place), name)
    for module in modules:
        importlib.import_module(module)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            print(os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1]), flush=True)
            continue
        pid = os.fork()
        if not pid:
            os.setsid()
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            for stream in (0, 1, 2):
                os.dup2(os.open(os.devnull, os.O_RDONLY) if stream == 0 else output, stream)
            code = 1
            try:
                code = main(request["start"])
            except BaseException:  # noqa: BLE001 - the process must not go on as another server
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(code)
        while os.getpgid(pid) != pid:  # until then, a kill would not reach its children
            os.sched_yield()
        print(pid, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2], sys.argv[3:])
