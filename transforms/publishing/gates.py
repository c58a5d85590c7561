"""Gates: conditions that a run of `tag` or `prepare` must meet before its result is used. `GATES` lists all."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from transforms.audio.errors import Unknown


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateLimits:
    """The limits that a user sets, as ratios from 0 to 1.

    Attributes:
      max_reject_ratio: rejected tracks, divided by tracks that were tried.
      max_unavailable_ratio: tracks whose storage did not answer or whose decoder the machine ended, divided by tracks
        that were tried.
      max_removed_ratio: tracks of the last snapshot that the catalog no longer has, divided by its tracks.
    """

    max_reject_ratio: float = 0.1
    max_unavailable_ratio: float = 0.0005
    max_removed_ratio: float = 0.2

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name}={value} is not between 0 and 1")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunFacts:
    """The facts that gates check.

    Attributes:
      catalog: number of tracks in the catalog.
      counted: number of rows of the catalog that the launcher counted; None for runs of earlier versions.
      before: number of tracks in the last snapshot; None if there is none, for `prepare`, and for runs of earlier
        versions.
      removed: number of these tracks that the catalog no longer has.
      outcomes: outcome -> number of tracks; the numbers add up to `catalog`.
      expected: table or `examples` -> number of rows according to the counts.
      written: the same keys -> number of rows in the files.
      wrong_files: one sentence per file that is missing or has another size or other bytes.
      tried: number of tracks that ratios refer to. `tag`: all of the catalog; `prepare`: those with labels.
      rejected: number of rejected tracks.
      unavailable: number of rejected tracks whose storage did not answer or whose decoder the machine ended.
      reasons: reason -> number of rejected tracks.
      rejects: place where rejected tracks are listed.
      rolled_back_to: number of the snapshot that a rollback publishes again; None for other runs.
      restored: whether a rollback has the files of that snapshot; None for other runs.
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
    counted: int | None = None
    before: int | None = None
    removed: int = 0
    rolled_back_to: int | None = None
    restored: bool | None = None
    labelled: int | None = None
    examples: int | None = None

    @property
    def lost(self) -> int:
        """Number of tracks without an outcome, or of outcomes without a track."""
        return abs(self.catalog - sum(self.outcomes.values()))

    @property
    def miscounted(self) -> int:
        """Number of rows or examples that the files have too many or too few."""
        return sum(abs(count - self.written[name]) for name, count in self.expected.items())

    @property
    def miscounted_rows(self) -> int | None:
        """Number of rows that the job read too many or too few; None if the launcher did not count them."""
        return None if self.counted is None else abs(self.catalog - self.counted)

    @property
    def removed_share(self) -> float | None:
        """Removed tracks, divided by the tracks of the last snapshot; None if it has none."""
        return self.removed / self.before if self.before else None

    @property
    def unknown(self) -> int:
        """Number of tracks that failed for an unknown reason."""
        return self.reasons.get(Unknown.reason, 0)

    @property
    def listed(self) -> str:
        """The reasons with their numbers of tracks, as text, the most frequent first."""
        return _listed(self.reasons)

    @property
    def counts(self) -> str:
        """The outcomes with their numbers of tracks, as text, the most frequent first."""
        return _listed(self.outcomes)

    @property
    def remedy(self) -> str:
        """What to do about a wrong file."""
        if self.rolled_back_to is None:
            return "run the job again"
        return "restore it from a copy, or roll back to another snapshot"

    def share(self, count: int) -> float | None:
        """A count divided by the number of tracks that were tried; 0 if there are none.

        None for a rollback: its tracks passed the limits that were given when they were first published.
        """
        if self.rolled_back_to is not None:
            return None
        return count / self.tried if self.tried else 0.0


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gate:
    """One condition: the measured value must not exceed the limit.

    Attributes:
      name: name of the gate in manifests.
      measure: returns the value; None if the gate does not apply to the command.
      limit: returns the largest value that passes.
      words: message for a failure, with what to do; `{facts}` and `{limit}` are filled in.
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
        "this is a bug in the program",
    ),
    Gate(
        name="counted",
        measure=lambda facts: facts.miscounted_rows,
        words="the catalog had {facts.counted} rows when the job was launched, but the job read {facts.catalog}: the "
        "catalog was changed meanwhile, or the runner lost rows: run the job again",
    ),
    Gate(
        name="empty",
        measure=lambda facts: int(facts.catalog == 0),
        words="the catalog has no tracks: look at the catalog",
    ),
    Gate(
        name="removed",
        measure=lambda facts: facts.removed_share,
        limit=lambda limits: limits.max_removed_ratio,
        words="{facts.removed} of {facts.before} tracks of the last snapshot are not in the catalog, more than the "
        "fraction {limit:.4g}: look at the catalog, or raise --max-removed-ratio",
    ),
    Gate(
        name="written",
        measure=lambda facts: facts.miscounted,
        words="the files have {facts.written}, but the counts are {facts.expected}: run the job again",
    ),
    Gate(
        name="unknown",
        measure=lambda facts: facts.unknown,
        words="{facts.unknown} tracks failed for an unknown reason, because of a bug in the program or its model: look "
        "at `detail` of these tracks in {facts.rejects}",
    ),
    Gate(
        name="files",
        measure=lambda facts: len(facts.wrong_files),
        words="{facts.wrong_files[0]}: {facts.remedy}",
    ),
    Gate(
        name="rollback",
        measure=lambda facts: None if facts.restored is None else int(not facts.restored),
        words="this rollback has other files than snapshot {facts.rolled_back_to}, or that snapshot was removed: run "
        "`rollback` again",
    ),
    Gate(
        name="labels",
        measure=lambda facts: None if facts.labelled is None else int(facts.labelled == 0),
        words="none of the {facts.catalog} tracks has a tag of the taxonomy: compare the tags of the catalog with the "
        "taxonomy",
    ),
    Gate(
        name="unavailable",
        measure=lambda facts: facts.share(facts.unavailable),
        limit=lambda limits: limits.max_unavailable_ratio,
        words="{facts.unavailable} of {facts.tried} tracks unavailable, more than the fraction {limit:.4g} "
        "({facts.listed}): run it again when the storage answers and memory is free, or "
        "raise --max-unavailable-ratio",
    ),
    Gate(
        name="rejected",
        measure=lambda facts: facts.share(facts.rejected),
        limit=lambda limits: limits.max_reject_ratio,
        words="{facts.rejected} of {facts.tried} tracks rejected, more than the fraction {limit:.4g} "
        "({facts.listed}): look at the tracks and their reasons in {facts.rejects}, or raise --max-reject-ratio",
    ),
    Gate(
        name="examples",
        measure=lambda facts: None if facts.examples is None else int(facts.examples == 0),
        words="no track has an example ({facts.listed}): look at {facts.rejects}",
    ),
)
"""Every gate. A refusal names the first one that fails, in this order."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateResult:
    """The result of one gate: measured value, limit, and why it failed (None if it passed)."""

    name: str
    value: float
    limit: float
    failure: str | None


def judge(facts: RunFacts, limits: GateLimits) -> tuple[GateResult, ...]:
    """Returns the results of all gates that apply."""
    results = []
    for gate in GATES:
        value, limit = gate.measure(facts), gate.limit(limits)
        if value is not None:
            failure = gate.words.format(facts=facts, limit=limit) if value > limit else None
            results.append(GateResult(name=gate.name, value=value, limit=limit, failure=failure))
    return tuple(results)


def refusal(results: Iterable[GateResult]) -> str | None:
    """The message of the first gate that failed; None if all passed."""
    return next((result.failure for result in results if result.failure is not None), None)


def gates_json(results: Iterable[GateResult]) -> dict[str, dict[str, Any]]:
    """The results in the form used in manifests: name -> value, limit, passed."""
    return {r.name: {"value": r.value, "limit": r.limit, "passed": r.failure is None} for r in results}
