"""`--parameters`, `--loudness` and `--beats` of `tag`: how a run measures what tracks sound like."""

import dataclasses
from typing import Any

from models.beats.bundle import read_beat_bundle
from pipelines.terminal.errors import UsageError, checked
from transforms.features.parameters.spec import ParametersSpec
from transforms.features.rhythm.beat_input import BeatSpec
from transforms.schemas.parameters import PARAMETER_NAMES
from transforms.schemas.rule_columns import RULE_COLUMNS
from transforms.table.reader import SnapshotReader
from transforms.taxonomy.hierarchy import Taxonomy

_NONE = "none"


def parameters_of_run(
    measures: str | None,
    loudness: str | None,
    before: SnapshotReader | None,
    *,
    beats: str | None = None,
    network: BeatSpec | None = None,
) -> tuple[ParametersSpec | None, bool]:
    """How a run measures parameters, and whether tracks that lack them are extracted for that reason alone.

    Without flags, a run measures as the last snapshot was measured, and only what it extracts anyway. Snapshots of
    earlier versions did not say: new tracks get the default.

    Args:
      measures: value of `--parameters`; None if it was not given.
      loudness: value of `--loudness`; None if it was not given.
      before: the last snapshot; None for a new table.
      beats: value of `--beats`: a bundle or `none`; None if it was not given.
      network: what the bundle of `--beats` holds; None without one.

    Returns:
      None if nothing is measured.

    Raises:
      UsageError: `--loudness` or `--beats` without parameters, or the last snapshot was measured with a network of
        beats, and the flag is missing.
    """
    earlier = {} if before is None else before.manifest.run.parameters
    wanted = measures or earlier.get("measures", "default")
    if wanted == _NONE:
        if loudness is not None:
            raise UsageError(f"--loudness={loudness}: no parameters are measured: add --parameters default")
        if network is not None:
            raise UsageError(f"--beats={beats}: no parameters are measured: add --parameters default")
        return None, False
    if beats is None and (known := earlier.get("beats")) is not None:
        raise UsageError(
            f"the last snapshot was measured with the network of beats {known['beats_id']}: give its bundle as "
            "--beats, or --beats none to measure without a network from now on"
        )
    of = loudness or earlier.get("loudness", "excerpt")
    spec = checked(ParametersSpec.from_json, {"measures": wanted, "loudness": of})
    spec = dataclasses.replace(spec, beats=network)
    return spec, any(flag is not None for flag in (measures, loudness, beats))


def kept_parameters(spec: ParametersSpec | None, measures: str | None, loudness: str | None) -> tuple[str, ...]:
    """Ids of parameters that tracks keep, though they are not those of the run.

    A table that was measured with a network needs `--beats` in every run. So this flag alone does not ask for tracks
    that were measured in the same way by an earlier version.

    Args:
      spec: how the run measures parameters; None if it does not.
      measures: value of `--parameters`; None if it was not given.
      loudness: value of `--loudness`; None if it was not given.
    """
    return () if spec is None or measures is not None or loudness is not None else spec.earlier_ids


def network_of_beats(beats: str | None) -> BeatSpec | None:
    """What the bundle of `--beats` holds; None without one.

    Raises:
      BundleError: it holds no network of beats, or was changed.
    """
    return None if beats in (None, _NONE) else read_beat_bundle(str(beats)).spec


def rules_without_parameters(taxonomy: Taxonomy) -> str | None:
    """What a run without parameters says about rules that need them; None if there are none."""
    needing = [
        category.name
        for category in taxonomy.rules
        if any(
            RULE_COLUMNS[condition.column].source in PARAMETER_NAMES
            for _, when in category.variants
            for conditions in when.values()
            for condition in conditions
        )
    ]
    if not needing:
        return None
    return (
        f"the rules of {', '.join(needing)} need parameters, and none are measured: no track gets these tags: give "
        "--parameters default"
    )


def recorded_parameters(spec: ParametersSpec | None) -> dict[str, Any]:
    """What a run records about its parameters, see `Run.parameters`."""
    return {"measures": _NONE} if spec is None else {"parameters_id": spec.parameters_id, **spec.to_json()}
