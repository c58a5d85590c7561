"""A command of `catalog-tagger` that kills itself at an access to the storage."""

import os
import signal
from collections.abc import Sequence

from pipelines.cli import main as command
from tests.support.nightly import READS, WRITES
from transforms import storage


def main(words: Sequence[str]) -> int:
    """Runs a command.

    Args:
      words: number of the access; "before" or "after" it; then the command.
    """
    left, after = [int(words[0])], words[1] == "after"

    def around(call):
        def killed(*given, **named):
            left[0] -= 1
            if left[0] < 0 and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return call(*given, **named)
            finally:
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        return killed

    for name in (*WRITES, *READS):
        setattr(storage, name, around(getattr(storage, name)))
    return command(words[2:])
