"""The descriptor of stderr, and how remarks of a library are kept from it."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator


class ErrorStream:
    """Where last words of this process are written to.

    Attributes:
      descriptor: the descriptor of the stderr that the process was started with.
    """

    descriptor = 2


@contextlib.contextmanager
def filtered_stderr(is_remark: Callable[[bytes], object]) -> Iterator[None]:
    """Keeps what the block writes to stderr, also from C++ code, and writes it without the remarks after the block.

    Args:
      is_remark: whether a line is left out.
    """
    standard = ErrorStream.descriptor
    try:
        kept = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
        saved = os.dup(standard)
    except OSError:  # no temporary folder, or no stderr: remarks do no harm
        yield
        return
    with kept:
        try:
            ErrorStream.descriptor = saved
            os.dup2(kept.fileno(), standard)
            yield
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(saved, standard)
            ErrorStream.descriptor = standard
            os.close(saved)
            kept.seek(0)
            for line in kept:
                if not is_remark(line):
                    os.write(standard, line)
