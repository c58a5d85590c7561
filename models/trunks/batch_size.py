"""The batch of a trunk: how many patches go through it at once."""

import json
import tempfile
from pathlib import Path

import numpy as np

from models.embedding.embedder import BATCH
from models.trunks.onnx_trunk import OnnxTrunk, session_options

LARGEST_STEP_BYTES = 16 * 2**20
"""Most bytes of the inputs and outputs of one step of a network for a whole batch."""


def chosen_batch(onnx: bytes, patch_shape: tuple[int, int]) -> int:
    """The batch of a new trunk: a power of two from 1 to `BATCH`, or the size that the network is fixed to.

    A network whose steps handle many bytes per patch is slower with large batches, because its values leave the
    processor's caches. A network with small steps needs a large batch, because each call has a fixed cost. The choice
    depends only on the network, not on the machine, because the batch is part of `embedding_id`.
    """
    size = OnnxTrunk(onnx).inputs[0].shape[0]
    if isinstance(size, int):
        return size
    batch, most = 1, LARGEST_STEP_BYTES // max(1, largest_step(onnx, patch_shape))
    while 2 * batch <= min(BATCH, most):
        batch *= 2
    return batch


def largest_step(onnx: bytes, patch_shape: tuple[int, int]) -> int:
    """Largest number of bytes of the inputs and outputs of one step of the network for one patch, without weights."""
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        options = session_options(threads=1)
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "step"))
        options.graph_optimization_level = type(options.graph_optimization_level).ORT_DISABLE_ALL
        trunk = OnnxTrunk(onnx, options=options)
        trunk(np.zeros((1, *patch_shape), np.float32))
        events = json.loads(Path(trunk.end_profiling()).read_bytes())
    sizes = [event["args"] for event in events if event["name"].endswith("_kernel_time")]
    return max((int(size["activation_size"]) + int(size["output_size"]) for size in sizes), default=0)
