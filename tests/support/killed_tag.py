"""`catalog-tagger` with one bucket a wave that kills itself after so many waves.

python -m tests.support.killed_tag WAVES tag ...
"""

import os
import signal
import sys

from pipelines.cli import main
from pipelines.waves import tagging
from pipelines.waves.running import WaveRunner

_run = WaveRunner.run


def _run_and_count(self, *wave) -> None:
    global left
    _run(self, *wave)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    left = int(sys.argv.pop(1))
    tagging.WAVE_BUCKETS = 1
    WaveRunner.run = _run_and_count
    sys.exit(main())
