"""Tries an imported ONNX network in a child process with limits of time and memory.

The network is of unknown origin: it may contain a loop without an end, or ask for any amount of memory.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from models.bundles.trunk_bundle import BundleError
from transforms.features.spec import FeatureSpec

TRIAL_S = 300.0
"""Longest that the trial of a network may take: four batches of patches, of which one is 32 patches."""

TRIAL_BYTES = 8 << 30
"""Address space of the trial, of which the libraries reserve 1 GiB."""

_CHILD = "models.trunks.onnx_child"
_ROOT = Path(__file__).parents[2]


class NetworkTrial(NamedTuple):
    """What running a network has shown: the length of its embeddings, and the batch to run it with."""

    patch_dim: int
    batch: int


def try_network(onnx: bytes, spec: FeatureSpec) -> NetworkTrial:
    """Runs a network in a child process.

    Raises:
      BundleError: the network is no trunk for this spec, or exceeds a limit. The message is one line.
    """
    return NetworkTrial(**answer_of_child(_CHILD, onnx, json.dumps(spec.to_json())))


def answer_of_child(module: str, onnx: bytes, argument: str) -> dict[str, Any]:
    """The JSON answer of a module that tries a network: run with the argument and the bytes of its address space.

    Raises:
      BundleError: the answer is a refusal, or the network exceeds a limit. The message is one line.
    """
    command = [sys.executable, "-P", "-m", module, argument, str(TRIAL_BYTES)]
    try:
        done = subprocess.run(
            command,
            input=onnx,
            capture_output=True,
            timeout=TRIAL_S,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise BundleError(
            f"the network was still running after {TRIAL_S:g} s, in which four batches should go through it: check it "
            "for a loop without an end, or export a smaller one"
        ) from error
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise BundleError(
            f"the network ended the process that tried it, with {how}, within {TRIAL_BYTES >> 30} GiB of memory: check "
            "its export, or export a smaller one"
        ) from error
    if "refused" in answer:
        raise BundleError(answer["refused"])
    return answer


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)])}
