"""`--parameters` and `--loudness` of `tag`: how a run measures what tracks sound like."""

from typing import Any

from pipelines.terminal.errors import UsageError, checked
from transforms.features.parameters.spec import ParametersSpec
from transforms.table.reader import SnapshotReader

_NONE = "none"


def parameters_of_run(
    measures: str | None, loudness: str | None, before: SnapshotReader | None
) -> tuple[ParametersSpec | None, bool]:
    """How a run measures parameters, and whether tracks that lack them are extracted for that reason alone.

    Without flags, a run measures as the last snapshot was measured, and only what it extracts anyway. Snapshots of
    earlier versions did not say: new tracks get the default.

    Args:
      measures: value of `--parameters`; None if it was not given.
      loudness: value of `--loudness`; None if it was not given.
      before: the last snapshot; None for a new table.

    Returns:
      None if nothing is measured.

    Raises:
      UsageError: `--loudness` without parameters.
    """
    earlier = {} if before is None else before.manifest.run.parameters
    wanted = measures or earlier.get("measures", "default")
    if wanted == _NONE:
        if loudness is not None:
            raise UsageError(f"--loudness={loudness}: no parameters are measured: add --parameters default")
        return None, False
    of = loudness or earlier.get("loudness", "excerpt")
    spec = checked(ParametersSpec.from_json, {"measures": wanted, "loudness": of})
    return spec, measures is not None or loudness is not None


def recorded_parameters(spec: ParametersSpec | None) -> dict[str, Any]:
    """What a run records about its parameters, see `Run.parameters`."""
    return {"measures": _NONE} if spec is None else {"parameters_id": spec.parameters_id, **spec.to_json()}
