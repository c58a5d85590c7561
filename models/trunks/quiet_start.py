"""Starts TensorFlow without its remarks on stderr.

Its C++ code writes some lines on the processor before it reads its own log level, and no setting turns them off.
"""

import re
import sys

from transforms.telemetry.error_stream import filtered_stderr

_REMARK = re.compile(rb"WARNING: All log messages before absl|[IWE]\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] ")
"""Beginning of a line of TensorFlow's C++ log: remarks, warnings, and errors of what it probes for, such as a GPU."""


def start_tensorflow() -> None:
    """Imports TensorFlow and Keras, and lets TensorFlow look for its devices.

    Raises:
      ImportError: TensorFlow is not installed.
    """
    if sys.modules.get("tensorflow") is not None:
        return
    with filtered_stderr(_REMARK.match):
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices()
