"""Judges the facts of a run by all gates."""

import dataclasses
from collections.abc import Collection, Iterable
from typing import Any

from transforms.publishing.facts import RunFacts
from transforms.publishing.gates import GATES, GateLimits
from transforms.tagging.evidence import OFFENDERS


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateResult:
    """The result of one gate.

    Attributes:
      failure: why it failed; None if it passed.
      offenders: what it refuses, the worst first, at most `OFFENDERS`; empty if it passed.
      overridden: whether it failed and the run is published all the same.
    """

    name: str
    value: float
    limit: float
    failure: str | None
    offenders: tuple[str, ...] = ()
    overridden: bool = False

    @property
    def refusal(self) -> str | None:
        """The message with the gate's name, value and limit, and one line for each offender; None if it passed."""
        if self.failure is None:
            return None
        named = f"gate {self.name} (value {self.value:.6g}, limit {self.limit:.6g}): {self.failure}"
        return "\n".join([named, *(f"  {offender}" for offender in self.offenders)])


def judge(facts: RunFacts, limits: GateLimits, overridden: Collection[str] = ()) -> tuple[GateResult, ...]:
    """Returns the results of all gates that apply. `overridden` names gates that may fail."""
    results = []
    for gate in GATES:
        value, limit = gate.measure(facts), gate.limit(limits)
        if value is None:
            continue
        failed = value > limit
        results.append(
            GateResult(
                name=gate.name,
                value=value,
                limit=limit,
                failure=gate.words.format(facts=facts, limit=limit, name=gate.name) if failed else None,
                offenders=tuple(gate.offenders(facts, limit)[:OFFENDERS]) if failed else (),
                overridden=failed and gate.name in overridden,
            )
        )
    return tuple(results)


def unmeasured(names: Collection[str]) -> dict[str, str]:
    """Name -> what it needs, of the gates on a run of `tag` that are not among those that were measured."""
    return {gate.name: gate.needs for gate in GATES if gate.needs and gate.name not in names}


def refusal(results: Iterable[GateResult]) -> str | None:
    """The messages of all gates that failed and are not overridden; None if there are none."""
    failed = [result.refusal for result in results if result.refusal is not None and not result.overridden]
    return "\n".join(failed) or None


def gates_json(results: Iterable[GateResult]) -> dict[str, dict[str, Any]]:
    """The results in the form used in manifests: name -> value, limit, passed; offenders, overridden if it failed."""
    found: dict[str, dict[str, Any]] = {}
    for result in results:
        passed = result.failure is None
        found[result.name] = {"value": result.value, "limit": result.limit, "passed": passed}
        if not passed:
            found[result.name]["offenders"] = list(result.offenders)
        if result.overridden:
            found[result.name]["overridden"] = True
    return found
