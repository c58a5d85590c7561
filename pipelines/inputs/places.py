"""Places that a training job on Vertex AI or Kubernetes writes to, from its environment variables."""

from collections.abc import Mapping

from pipelines.inputs.flags import Arguments
from pipelines.terminal.errors import UsageError

PLACES = {"output": "AIP_MODEL_DIR", "checkpoints": "AIP_CHECKPOINT_DIR", "logs": "AIP_TENSORBOARD_LOG_DIR"}
"""Flag of `train` -> environment variable that replaces it inside a job, as Vertex AI names it."""


def with_places(args: Arguments, environ: Mapping[str, str]) -> Arguments:
    """The flags, completed by the places in environment variables.

    Raises:
      UsageError: neither a flag nor a variable gives the output.
    """
    places = {
        flag: environ[variable].rstrip("/")
        for flag, variable in PLACES.items()
        if getattr(args, flag) is None and environ.get(variable)
    }
    chosen = Arguments(**{**vars(args), **places})
    if chosen.output is None:
        raise UsageError("missing --output")
    return chosen


def checkpoints_folder(args: Arguments) -> str:
    """Folder of the run's checkpoints."""
    return args.checkpoints or f"{args.output.rstrip('/')}.checkpoints"
