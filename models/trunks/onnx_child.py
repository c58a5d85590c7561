"""The child process of `onnx_trial`: runs a network within limits, and answers with one JSON object.

Arguments: the feature spec as JSON, and the bytes of address space. The network is on stdin.
"""

import contextlib
import json
import resource
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from models.bundles.trunk_bundle import BundleError
from models.embedding.embedder import BATCH
from models.trunks.batch_size import chosen_batch
from models.trunks.onnx_trunk import OnnxTrunk, told
from transforms.features.spec import FeatureSpec

MOST_VALUES = 65_536
"""Most values of a patch embedding."""

IMPORT_TOLERANCE = 1e-4
"""Largest change of a patch's embedding with the other patches of its batch, relative to the largest value."""

FLOAT_TYPES = ("tensor(float)", "tensor(float16)", "tensor(double)")
"""ONNX Runtime's names of floating-point types."""


def embedding_length(trunk: OnnxTrunk, spec: FeatureSpec) -> int:
    """Length of the embeddings of a network, determined by running it.

    Raises:
      BundleError: its inputs, outputs or values are not those of a trunk. The message has the difference.
    """
    _check_signature(trunk, spec)
    patches = np.random.default_rng(0).normal(size=(BATCH, *spec.patch_shape)).astype(np.float32)
    half = BATCH // 2
    try:
        found = trunk(patches)
        with_others = trunk(np.concatenate([patches[:half], 3 * patches[half:] + 1]))
        alone = trunk(patches[:half])
    except Exception as error:
        raise BundleError(f"the network fails on {BATCH} patches of {spec.patch_shape}: {told(error)}") from error
    if found.ndim != 2 or len(found) != BATCH:
        raise BundleError(f"the output for {BATCH} patches has shape {found.shape}: a trunk must return [{BATCH}, dim]")
    if len(alone) != half or not 1 <= found.shape[1] <= MOST_VALUES:
        raise BundleError(
            f"the outputs for {BATCH} and {half} patches have shapes {found.shape} and {alone.shape}: a trunk must "
            f"return a row of 1 to {MOST_VALUES} values for each patch"
        )
    if not np.isfinite(found).all():
        raise BundleError("the network's embeddings of noise are not finite: check its weights and its export")
    if np.abs(found - with_others)[:half].max() > IMPORT_TOLERANCE * np.abs(found).max():
        raise BundleError(
            "a patch's embedding changes with the other patches of its batch: export the network for inference, with "
            "fixed statistics of its normalisations"
        )
    if (found == found[0]).all():
        raise BundleError("the network gives all patches the same embedding: check its export")
    return int(found.shape[1])


def _check_signature(trunk: OnnxTrunk, spec: FeatureSpec) -> None:
    if len(trunk.inputs) != 1 or len(trunk.outputs) != 1:
        names = [", ".join(one.name for one in ends) for ends in (trunk.inputs, trunk.outputs)]
        raise BundleError(f"the network has inputs {names[0]} and outputs {names[1]}: a trunk must have one of each")
    (patch,), (found,) = trunk.inputs, trunk.outputs
    if found.type not in FLOAT_TYPES:
        raise BundleError(f"the network returns {found.type}: a trunk must return floating-point numbers")
    fits = len(patch.shape) == 3 and all(
        not isinstance(size, int) or size == wanted
        for size, wanted in zip(patch.shape[1:], spec.patch_shape, strict=True)
    )
    if patch.type != "tensor(float)" or not fits:
        frames, mels = spec.patch_shape
        raise BundleError(
            f"the network takes {patch.type} {patch.shape}, but the feature spec makes float32 [n, {frames}, {mels}]"
        )


def _answer(onnx: bytes, spec: FeatureSpec) -> dict[str, int]:
    return {"patch_dim": embedding_length(OnnxTrunk(onnx), spec), "batch": chosen_batch(onnx, spec.patch_shape)}


def answer_within(memory: str, answer: Callable[[bytes], Mapping[str, Any]]) -> None:
    """Writes the answer about the network on stdin to stdout as JSON, or why it is refused as `refused`.

    Args:
      memory: bytes of address space.
      answer: what is told about the bytes of stdin; it raises BundleError for a network that is refused.
    """
    data = sys.stdin.buffer.read()
    with contextlib.suppress(ImportError):
        import onnxruntime  # noqa: F401 - loaded before the limits apply
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        found = answer(data)
    except BundleError as error:
        found = {"refused": str(error)}
    except MemoryError:
        found = {"refused": "the network needs too much memory: export a smaller one"}
    sys.stdout.buffer.write(json.dumps(found).encode())


def _main(spec: str, memory: str) -> None:
    read = FeatureSpec.from_json(json.loads(spec))
    answer_within(memory, lambda onnx: _answer(onnx, read))


if __name__ == "__main__":
    _main(*sys.argv[1:])
