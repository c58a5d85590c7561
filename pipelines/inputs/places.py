"""Where a training job on Vertex AI reads and writes, from the variables that the job's environment sets."""

from collections.abc import Mapping

from pipelines.inputs.flags import Arguments
from pipelines.terminal.errors import UsageError

PLACES = {"output": "AIP_MODEL_DIR", "checkpoints": "AIP_CHECKPOINT_DIR", "logs": "AIP_TENSORBOARD_LOG_DIR"}
"""Flags of `train`, and the variables of Vertex AI that replace them inside a job."""


def with_places(args: Arguments, environ: Mapping[str, str]) -> Arguments:
    """The flags, completed by the places that Vertex AI names.

    Raises:
      UsageError: neither says where the bundle goes.
    """
    found = {
        flag: environ[variable].rstrip("/")
        for flag, variable in PLACES.items()
        if getattr(args, flag) is None and environ.get(variable)
    }
    chosen = Arguments(**{**vars(args), **found})
    if chosen.output is None:
        raise UsageError("missing --output")
    return chosen


def checkpoints_folder(args: Arguments) -> str:
    """Where the run leaves its checkpoints."""
    return args.checkpoints or f"{args.output.rstrip('/')}.checkpoints"
