"""Runs networks that are ONNX files with ONNX Runtime, without TensorFlow."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from models.bundles.trunk_bundle import BundleError
from models.trunks.onnx_file import check_self_contained
from models.trunks.time_limit import CallMonitor

INSTALL = "pip install 'catalog-tagger[onnx]'"

TRUNK_REMEDY = f"{INSTALL}, or choose --inference tensorflow if TensorFlow is installed"

CALL_S = 600.0
"""Longest that one batch may take."""

_MONITOR = CallMonitor()


class OnnxNetwork:
    """A network that ONNX Runtime runs on the processor.

    Args:
      model: the file's bytes. It must contain all its weights, because a path would let it name other files.
      threads: threads of one call; None: one per core.
      options: ONNX Runtime's options, instead of those of `session_options`.

    Raises:
      BundleError: ONNX Runtime is not installed, or cannot run this file, or it takes data from another file.
    """

    what, rows = "network", "rows"
    """What the network is, and what the rows of its inputs are, for messages."""
    remedy = INSTALL
    """What installs ONNX Runtime."""

    def __init__(self, model: bytes, threads: int | None = 1, options: Any = None) -> None:
        check_self_contained(model, self.what)
        runtime, options = _runtime(self.what, self.remedy), options or session_options(threads)
        self._run_options = runtime.RunOptions
        try:
            self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        # Exceptions of ONNX Runtime have no common base class except Exception.
        except Exception as error:
            engine = f"ONNX Runtime {runtime.__version__}"
            raise BundleError(f"{engine} cannot run this {self.what}: {told(error)}") from error
        self.inputs = tuple(self._session.get_inputs())
        self.outputs = tuple(self._session.get_outputs())

    def run(self, given: Mapping[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        """The outputs of these names for arrays by the names of the inputs.

        Raises:
          BundleError: the call was still running after `CALL_S`.
        """
        options = self._run_options()
        try:
            with _MONITOR.ended_after(CALL_S, options):
                found: list[np.ndarray] = self._session.run(list(outputs), dict(given), options)
        except Exception as error:
            if not options.terminate:
                raise
            size = max(map(len, given.values()))
            raise BundleError(
                f"a network was still running after {CALL_S:g} s with {size} {self.rows}, and was ended: use another "
                f"{self.what}"
            ) from error
        return found


class OnnxTrunk(OnnxNetwork):
    """A trunk: float32 [n, frames, mels] -> float32 [n, patch_dim]."""

    what, rows = "trunk", "patches"
    remedy = TRUNK_REMEDY

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """float32 [n, frames, mels] -> float32 [n, patch_dim]. A network with a fixed n gets padded batches."""
        size = self.inputs[0].shape[0]
        if not isinstance(size, int):
            return self._run(batch)
        pieces = [_padded(batch[start : start + size], size) for start in range(0, len(batch), size)]
        return np.concatenate([self._run(piece) for piece in pieces])[: len(batch)]

    def end_profiling(self) -> str:
        """Ends the profile that the options asked for; returns its file."""
        return str(self._session.end_profiling())

    def _run(self, batch: np.ndarray) -> np.ndarray:
        (found,) = self.run({self.inputs[0].name: batch}, [self.outputs[0].name])
        return found


def told(error: Exception) -> str:
    """An error of ONNX Runtime as one line of at most 500 characters."""
    return " ".join(str(error).split())[:500]


def session_options(threads: int | None) -> Any:
    """Options of ONNX Runtime for a trunk: `threads` of one call; None: one per core."""
    options = _runtime("trunk", TRUNK_REMEDY).SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # warnings are about the graph, and errors are raised
    return options


def _padded(batch: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([batch, np.zeros((size - len(batch), *batch.shape[1:]), batch.dtype)])


def _runtime(what: str, remedy: str) -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        raise BundleError(f"this {what} needs ONNX Runtime, which is not installed: {remedy}") from error
    module: ModuleType = onnxruntime
    return module
