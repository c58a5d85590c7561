"""Gates: what a run of `tag` or `prepare` must fulfil before its result is used. All of them are in `GATES`."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from transforms.audio.errors import Unknown


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateLimits:
    """The limits that a user sets.

    Attributes:
      max_reject_ratio: rejected tracks over tracks that were tried.
      max_unavailable_ratio: tracks whose storage did not answer, over tracks that were tried.
    """

    max_reject_ratio: float = 0.1
    max_unavailable_ratio: float = 0.0005

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name}={value} is not between 0 and 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What gates look at.

    Attributes:
      catalog: tracks of the catalog.
      outcomes: outcome -> tracks; they add up to the catalog.
      expected: what is written -> how many the counts say.
      written: the same -> how many the files hold.
      wrong_files: files that are missing or have another size, each with what was found.
      tried: tracks that ratios refer to. `tag`: all of the catalog; `prepare`: those with labels.
      rejected: rejected tracks.
      unavailable: those of them whose storage did not answer.
      reasons: rejected tracks by reason.
      rejects: where rejected tracks are listed.
      labelled: `prepare`: tracks with a tag of the taxonomy; None for `tag`.
      examples: `prepare`: examples of the dataset; None for `tag`.
    """

    catalog: int
    outcomes: Mapping[str, int]
    expected: Mapping[str, int]
    written: Mapping[str, int]
    wrong_files: tuple[str, ...]
    tried: int
    rejected: int
    unavailable: int
    reasons: Mapping[str, int]
    rejects: str
    labelled: int | None = None
    examples: int | None = None

    @property
    def lost(self) -> int:
        """Tracks of the catalog without an outcome, or outcomes without a track."""
        return abs(self.catalog - sum(self.outcomes.values()))

    @property
    def miscounted(self) -> int:
        """Rows or examples that the files hold too many or too few."""
        return sum(abs(count - self.written[name]) for name, count in self.expected.items())

    @property
    def unknown(self) -> int:
        """Tracks that failed for no known reason."""
        return self.reasons.get(Unknown.reason, 0)

    @property
    def listed(self) -> str:
        """The reasons with their tracks, the most frequent first."""
        return _listed(self.reasons)

    @property
    def counts(self) -> str:
        """Outcomes with their tracks."""
        return _listed(self.outcomes)

    def share(self, count: int) -> float:
        """A count over the tracks that were tried."""
        return count / self.tried if self.tried else 0.0


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gate:
    """One condition: the measured value must not be over the limit.

    Attributes:
      name: in manifests.
      measure: the value; None where the gate does not apply to the command.
      limit: the greatest value that passes.
      words: what is said where the gate fails, with what to do; `{facts}` and `{limit}` are filled in.
    """

    name: str
    measure: Callable[[RunFacts], float | None]
    limit: Callable[[GateLimits], float] = lambda limits: 0
    words: str


GATES = (
    Gate(
        name="conservation",
        measure=lambda facts: facts.lost,
        words="{facts.catalog} catalog ids, but the outcomes add up to another number ({facts.counts}): "
        "it is a fault of the program",
    ),
    Gate(
        name="written",
        measure=lambda facts: facts.miscounted,
        words="the files hold {facts.written}, the counts say {facts.expected}: run the job again",
    ),
    Gate(
        name="unknown",
        measure=lambda facts: facts.unknown,
        words="{facts.unknown} tracks failed for no known reason: look at `detail` of these tracks under "
        "{facts.rejects}: it is a fault of the program or its model",
    ),
    Gate(
        name="files",
        measure=lambda facts: len(facts.wrong_files),
        words="{facts.wrong_files[0]}: run the job again",
    ),
    Gate(
        name="labels",
        measure=lambda facts: None if facts.labelled is None else int(facts.labelled == 0),
        words="none of the {facts.catalog} tracks carries a tag that the taxonomy knows: compare the tags of the "
        "catalog with the taxonomy",
    ),
    Gate(
        name="unavailable",
        measure=lambda facts: facts.share(facts.unavailable),
        limit=lambda limits: limits.max_unavailable_ratio,
        words="{facts.unavailable} of {facts.tried} tracks unavailable, more than {limit:.4g} of them "
        "({facts.listed}): run it again when the storage answers, or raise --max-unavailable-ratio",
    ),
    Gate(
        name="rejected",
        measure=lambda facts: facts.share(facts.rejected),
        limit=lambda limits: limits.max_reject_ratio,
        words="{facts.rejected} of {facts.tried} tracks rejected, more than {limit:.4g} of them ({facts.listed}): "
        "look at the tracks and their reasons under {facts.rejects}, or raise --max-reject-ratio",
    ),
    Gate(
        name="examples",
        measure=lambda facts: None if facts.examples is None else int(facts.examples == 0),
        words="no track gave an example ({facts.listed}): look at {facts.rejects}",
    ),
)
"""Every gate, in the order in which a refusal names them. Another gate is another entry."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateResult:
    """One gate's judgement: what was measured, the limit, and why it failed (None: it passed)."""

    name: str
    value: float
    limit: float
    failure: str | None


def judge(facts: RunFacts, limits: GateLimits) -> tuple[GateResult, ...]:
    """Every gate that applies."""
    found = []
    for gate in GATES:
        value, limit = gate.measure(facts), gate.limit(limits)
        if value is not None:
            failure = gate.words.format(facts=facts, limit=limit) if value > limit else None
            found.append(GateResult(name=gate.name, value=value, limit=limit, failure=failure))
    return tuple(found)


def refusal(results: Iterable[GateResult]) -> str | None:
    """Why a result is not to be used, by the first gate that failed; None where all passed."""
    return next((result.failure for result in results if result.failure is not None), None)


def gates_json(results: Iterable[GateResult]) -> dict[str, dict[str, Any]]:
    """The gates as manifests have them: name -> value, limit, passed."""
    return {r.name: {"value": r.value, "limit": r.limit, "passed": r.failure is None} for r in results}
