"""`gates.yaml` in the root of a table: the limits of its gates, for every run that has no other ones.

version: 1
limits:
  removed: 0.05
  drift_scores_unchanged: 0.1
require_blessed: true
"""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from transforms import storage
from transforms.formats.documents import YAML_BYTES, parse_yaml
from transforms.publishing.gates import GATE_BY_NAME
from transforms.table.versions import TableError

GATES_FILE = "gates.yaml"
GATES_FILE_VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class GatesFile:
    """The content of `gates.yaml`.

    Attributes:
      limits: name of a gate -> its limit.
      require_blessed: whether `tag` refuses bundles that are not blessed, see `evaluate --bless`.
    """

    limits: Mapping[str, float] = dataclasses.field(default_factory=dict)
    require_blessed: bool = False


def read_gates_file(root: str) -> GatesFile:
    """The table's gates file; without a file, the defaults.

    Raises:
      TableError: the file is no such document, or of a later version. The message names the file.
      storage.StorageError: the storage does not answer.
    """
    url = storage.join(root, GATES_FILE)
    try:
        data = storage.read_bytes(url, max_bytes=YAML_BYTES)
    except storage.NotFound:
        return GatesFile()
    except storage.TooLarge as error:
        raise TableError(str(error)) from error
    try:
        return _parsed(parse_yaml(data))
    except (ValueError, TypeError) as error:
        raise TableError(f"{url}: {error!s:.500}") from error


def _parsed(document: Any) -> GatesFile:
    if not isinstance(document, dict):
        raise TypeError(f"a {type(document).__name__} instead of an object with `version` and `limits`")
    if (version := document.get("version")) != GATES_FILE_VERSION or isinstance(version, bool):
        raise ValueError(f"version {version!r:.60}, but this program reads version: {GATES_FILE_VERSION}")
    known = ("version", "limits", "require_blessed")
    if strangers := [key for key in document if key not in known]:
        raise ValueError(f"unknown key {strangers[0]!r:.60}: keys are {', '.join(known)}")
    limits, required = document.get("limits"), document.get("require_blessed", False)
    limits = {} if limits is None else limits
    if not isinstance(limits, dict):
        raise TypeError(f"limits: a {type(limits).__name__} instead of names of gates with their limits")
    if not isinstance(required, bool):
        raise TypeError(f"require_blessed: {required!r:.60} is not true or false")
    return GatesFile(
        limits={name: checked_limit(name, value) for name, value in limits.items()}, require_blessed=required
    )


def checked_limit(name: Any, value: Any) -> float:
    """The limit of a gate.

    Raises:
      ValueError: there is no such gate, its limit cannot be set, or the limit is out of its range.
    """
    gate = GATE_BY_NAME.get(name)
    if gate is None:
        settable = [known.name for known in GATE_BY_NAME.values() if not known.is_fixed]
        near = difflib.get_close_matches(str(name)[:60], settable, n=1)
        raise ValueError(
            f"no gate {name!r:.60}" + (f": did you mean {near[0]}?" if near else f": gates are {', '.join(settable)}")
        )
    if gate.is_fixed:
        raise ValueError(f"gate {name} has the fixed limit {gate.default:g}, because readers rely on it")
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value <= gate.most
        or value == float("inf")
    ):
        raise ValueError(
            f"gate {name}: {value!r:.60} is not a number from 0"
            + (f" to {gate.most:g}" if gate.most < float("inf") else "")
        )
    return float(value)
