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
    work = "in which four batches should go through it"
    return NetworkTrial(**tried(_CHILD, json.dumps(spec.to_json()), onnx, work))


def tried(child: str, argument: str, data: bytes, work: str) -> dict[str, Any]:
    """The answer of a child process that runs a network: a JSON object without `refused`.

    Args:
      child: module to run, see `onnx_child.answer_within`.
      argument: its first argument; the second is the bytes of address space.
      data: its stdin.
      work: clause that says what should be done within `TRIAL_S`.

    Raises:
      BundleError: the child refuses the network, or exceeds a limit. The message is one line.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", child, argument, str(TRIAL_BYTES)],
            input=data,
            capture_output=True,
            timeout=TRIAL_S,
            check=False,
            env=_environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise BundleError(
            f"the network was still running after {TRIAL_S:g} s, {work}: check it for a loop without an end, or export "
            "a smaller one"
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
