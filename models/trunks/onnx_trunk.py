"""Runs trunks that are ONNX files with ONNX Runtime, without TensorFlow."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from models.bundles.trunk_bundle import BundleError
from models.trunks.onnx_file import check_self_contained
from models.trunks.time_limit import CallMonitor

INSTALL = "pip install 'catalog-tagger[onnx]'"

CALL_S = 600.0
"""Longest that one batch may take."""

_MONITOR = CallMonitor()


class OnnxTrunk:
    """A trunk that ONNX Runtime runs on the processor: float32 [n, frames, mels] -> float32 [n, patch_dim].

    Args:
      model: the file's bytes. It must contain all its weights, because a path would let it name other files.
      threads: threads of one call; None: one per core.
      options: ONNX Runtime's options, instead of those of `session_options`.

    Raises:
      BundleError: ONNX Runtime is not installed, or cannot run this file, or it takes data from another file.
    """

    def __init__(self, model: bytes, threads: int | None = 1, options: Any = None) -> None:
        check_self_contained(model)
        runtime, options = _runtime(), options or session_options(threads)
        self._run_options = runtime.RunOptions
        try:
            self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        # Exceptions of ONNX Runtime have no common base class except Exception.
        except Exception as error:
            raise BundleError(f"ONNX Runtime {runtime.__version__} cannot run this trunk: {told(error)}") from error
        self.inputs = tuple(self._session.get_inputs())
        self.outputs = tuple(self._session.get_outputs())

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
        (found,) = self.values(batch, self.inputs[0].name, [self.outputs[0].name])
        return found

    def values(self, batch: np.ndarray, taken: str, wanted: Sequence[str]) -> list[np.ndarray]:
        """What the network gives for one batch: the outputs of these names, from the input of this name."""
        options = self._run_options()
        try:
            with _MONITOR.ended_after(CALL_S, options):
                found: list[np.ndarray] = self._session.run(list(wanted), {taken: batch}, options)
        except Exception as error:
            if not options.terminate:
                raise
            raise BundleError(
                f"a network was still running after {CALL_S:g} s with {len(batch)} patches, and was ended: use another "
                "trunk"
            ) from error
        return found


def told(error: Exception) -> str:
    """An error of ONNX Runtime as one line of at most 500 characters."""
    return " ".join(str(error).split())[:500]


def session_options(threads: int | None) -> Any:
    """Options of ONNX Runtime for a trunk: `threads` of one call; None: one per core."""
    options = _runtime().SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # warnings are about the graph, and errors are raised
    return options


def _padded(batch: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate([batch, np.zeros((size - len(batch), *batch.shape[1:]), batch.dtype)])


def _runtime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        raise BundleError(
            f"this trunk needs ONNX Runtime, which is not installed: {INSTALL}, or choose --inference tensorflow if "
            "TensorFlow is installed"
        ) from error
    module: ModuleType = onnxruntime
    return module
