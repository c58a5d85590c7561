"""Starts TensorFlow without its remarks on stderr.

Its C++ code writes some lines on the processor before it reads its own log level, and no setting turns them off.
"""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

_REMARK = re.compile(rb"WARNING: All log messages before absl|[IWE]\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] ")
"""Beginning of a line of TensorFlow's C++ log: remarks, warnings, and errors of what it probes for, such as a GPU."""

_STDERR = 2


def start_tensorflow() -> None:
    """Imports TensorFlow and Keras, and lets TensorFlow look for its devices.

    Raises:
      ImportError: TensorFlow is not installed.
    """
    if "tensorflow" in sys.modules:
        return
    with _without_remarks():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def _without_remarks() -> Iterator[None]:
    """Keeps what the block writes to the descriptor of stderr, and writes it without the remarks after the block."""
    try:
        kept = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
        saved = os.dup(_STDERR)
    except OSError:  # no temporary folder, or no stderr: remarks do no harm
        yield
        return
    with kept:
        try:
            os.dup2(kept.fileno(), _STDERR)
            yield
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(saved, _STDERR)
            os.close(saved)
            kept.seek(0)
            for line in kept:
                if not _REMARK.match(line):
                    os.write(_STDERR, line)
