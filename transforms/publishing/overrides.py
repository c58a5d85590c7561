"""Overrides: who published a run although a gate refused it, and why. Snapshots keep them for ever."""

import dataclasses
import datetime
from collections.abc import Iterable
from typing import Any

from transforms import storage
from transforms.publishing.gates import GATE_BY_NAME
from transforms.publishing.judging import GateResult
from transforms.storage import redact
from transforms.table.snapshots import Run, Snapshot, read_snapshot, snapshot_numbers
from transforms.table.versions import TableError

REASON_CHARS = 1000
"""Longest reason and longest name that is recorded."""


class OverrideError(ValueError):
    """The override is not possible. The message says what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Override:
    """The wish to publish a run although gates refuse it.

    Attributes:
      gates: names of these gates, each once.
      reason: why.
      by: who.
    """

    gates: tuple[str, ...]
    reason: str
    by: str

    def __post_init__(self) -> None:
        for name in self.gates:
            if name not in GATE_BY_NAME:
                raise OverrideError(f"no gate {name!r}: gates are {', '.join(overridable())}")
            if GATE_BY_NAME[name].is_fixed:
                raise OverrideError(
                    f"gate {name} cannot be overridden, because readers rely on it; others can: "
                    f"{', '.join(overridable())}"
                )
        for what, text in (("reason", self.reason), ("name", self.by)):
            if not text.strip() or len(text) > REASON_CHARS:
                raise OverrideError(f"the {what} of an override has 1 to {REASON_CHARS} characters")


def overridable() -> list[str]:
    """Names of the gates that can be overridden."""
    return [name for name, gate in GATE_BY_NAME.items() if not gate.is_fixed]


def override_records(override: Override, results: Iterable[GateResult], run: Run) -> tuple[dict[str, Any], ...]:
    """What the snapshot records: one object for each gate.

    Raises:
      OverrideError: one of the gates did not fail.
    """
    failed = {result.name: result for result in results if result.overridden}
    if passed := [name for name in override.gates if name not in failed]:
        raise OverrideError(f"gate {passed[0]} does not refuse run {run.run_id}: leave out --override {passed[0]}")
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return tuple(
        {
            "snapshot": (run.parent or 0) + 1,
            "run_id": run.run_id,
            "gate": name,
            "value": failed[name].value,
            "limit": failed[name].limit,
            "reason": redact(override.reason),
            "by": override.by,
            "when": now,
        }
        for name in override.gates
    )


def check_recorded(override: Override, published: Snapshot) -> None:
    """Checks that a published snapshot records the override already.

    Raises:
      OverrideError: it was published without it.
    """
    recorded = {entry["gate"] for entry in published.run.overrides if entry["snapshot"] == published.number}
    if lacking := [name for name in override.gates if name not in recorded]:
        raise OverrideError(
            f"{published.run.run_id} is already published as snapshot {published.number}, where gate {lacking[0]} was "
            "not overridden"
        )


def earlier_overrides(root: str, parent: int | None) -> tuple[dict[str, Any], ...]:
    """The overrides of all snapshots up to `parent`, from the newest of them that can be read."""
    for number in sorted((n for n in snapshot_numbers(root) if n <= (parent or 0)), reverse=True):
        try:
            return read_snapshot(root, number).run.overrides
        except (TableError, storage.StorageError):  # removed or damaged: an older one knows those before it
            continue
    return ()
