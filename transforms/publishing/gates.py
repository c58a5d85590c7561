"""Gates: conditions that a run of `tag` or `prepare` must meet before its result is used. `GATES` lists all."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

from transforms.fusion.tally import lost_texts
from transforms.publishing.drifted_tags import (
    LEAST_POSITIVES,
    LEAST_TRACKS,
    LEAST_UNCHANGED,
    Drift,
    greatest,
    prevalence_drift,
    score_drift,
    unchanged_order_drift,
    unchanged_prevalence_drift,
    unchanged_score_drift,
    worst_first,
)
from transforms.publishing.facts import RunFacts


@dataclasses.dataclass(frozen=True, kw_only=True)
class GateLimits:
    """The limits that a user sets.

    Attributes:
      max_reject_ratio: rejected tracks, divided by tracks that were tried, from 0 to 1.
      max_unavailable_ratio: tracks whose storage did not answer or whose decoder the machine ended, divided by tracks
        that were tried, from 0 to 1.
      max_removed_ratio: tracks of the last snapshot that the catalog no longer has, divided by its tracks, from 0 to 1.
      others: name of a gate -> its limit, for other gates.
    """

    max_reject_ratio: float = 0.1
    max_unavailable_ratio: float = 0.0005
    max_removed_ratio: float = 0.2
    others: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in RATIO_FIELDS.values():
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"{name}={value} is not between 0 and 1")


RATIO_FIELDS = {"rejected": "max_reject_ratio", "unavailable": "max_unavailable_ratio", "removed": "max_removed_ratio"}
"""Name of a gate -> the field of `GateLimits` with its limit, and the flag of this name."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gate:
    """One condition: the measured value must not exceed the limit.

    Attributes:
      name: name of the gate in manifests, flags and the gates file.
      what: the measured value, for the documentation.
      measure: returns the value; None if the gate does not apply to the command, or has nothing to compare.
      words: message for a failure, with what to do; `{facts}`, `{limit}` and `{name}` are filled in.
      default: the largest value that passes, if no other limit is set.
      most: the largest limit that makes sense; 0 for a gate whose limit cannot be set and that cannot be overridden,
        because readers rely on it.
      offenders: returns what the gate refuses with a limit, the worst first.
      needs: what `measure` needs to compare; "" for a gate that needs nothing, or that does not apply to `tag`.
    """

    name: str
    what: str
    measure: Callable[[RunFacts], float | None]
    words: str
    default: float = 0
    most: float = 0
    offenders: Callable[[RunFacts, float], Sequence[str]] = lambda facts, limit: ()
    needs: str = ""

    @property
    def is_fixed(self) -> bool:
        """Whether the limit cannot be set, and the gate cannot be overridden."""
        return self.most == 0

    def limit(self, limits: GateLimits) -> float:
        """The largest value that passes."""
        if (field := RATIO_FIELDS.get(self.name)) is not None:
            found: float = getattr(limits, field)
            return found
        return limits.others.get(self.name, self.default)


def _fault_gate(name: str, what: str, words: str, *, most: float = math.inf) -> Gate:
    """A gate on faults that were counted while the rows were assembled."""
    return Gate(
        name=name,
        what=what,
        measure=lambda facts: facts.faults(name),
        words=words,
        most=most,
        offenders=lambda facts, limit: facts.offenders(name),
    )


_BOTH_SIDES = f"{LEAST_TRACKS:,} tagged tracks in the last snapshot and in the run"
_SAME_TRACKS = f"{LEAST_UNCHANGED} tagged tracks whose source has not changed since the last snapshot"


def _drift_gate(name: str, what: str, drift: Drift, *, default: float, needs: str) -> Gate:
    """A gate on the tag that drifted most since the last snapshot."""
    return Gate(
        name=name,
        what=what,
        measure=lambda facts: greatest(drift, facts.drift),
        words="a tag drifted more than {limit:.4g} since the last snapshot: look at the bundle and at the catalog, for "
        "example with `diff` after a run into another table, or raise --gate {name}=LIMIT",
        default=default,
        most=math.inf,
        offenders=lambda facts, limit: [tag.text for tag in worst_first(drift, facts.drift) if tag.value > limit],
        needs=needs,
    )


GATES = (
    Gate(
        name="conservation",
        what="catalog ids without an outcome, or outcomes without an id",
        measure=lambda facts: facts.lost,
        words="{facts.catalog} catalog ids, but the outcomes add up to another number ({facts.counts}): "
        "this is a bug in the program",
    ),
    Gate(
        name="counted",
        what="rows that the job read, minus the rows that the catalog's files had at the launch",
        measure=lambda facts: facts.miscounted_rows,
        words="the catalog had {facts.counted} rows when the job was launched, but the job read {facts.catalog}: the "
        "catalog was changed meanwhile, or the runner lost rows: run the job again",
    ),
    Gate(
        name="empty",
        what="1 if the catalog has no tracks",
        measure=lambda facts: int(facts.catalog == 0),
        words="the catalog has no tracks: look at the catalog",
    ),
    Gate(
        name="removed",
        what="tracks of the last snapshot that the catalog lacks, divided by its tracks",
        measure=lambda facts: facts.removed_share,
        needs="a last snapshot with tracks",
        words="{facts.removed} of {facts.before} tracks of the last snapshot are not in the catalog, more than the "
        "fraction {limit:.4g}: look at the catalog, or raise --max-removed-ratio",
        default=GateLimits.max_removed_ratio,
        most=1,
        offenders=lambda facts, limit: facts.offenders("removed"),
    ),
    Gate(
        name="written",
        what="rows that the files have too many or too few",
        measure=lambda facts: facts.miscounted,
        words="the files have {facts.written}, but the counts are {facts.expected}: run the job again",
    ),
    _fault_gate(
        "unique",
        "repeated ids in `tracks`, `embeddings` and `ledger`, ids in a wrong bucket, repeated tags of a track",
        "ids are repeated, or are in a wrong bucket: this is a bug in the program",
        most=0,
    ),
    _fault_gate(
        "schema",
        "missing or wrong columns, nulls where none are allowed, and NaN",
        "the rows do not have the schema of their tables: this is a bug in the program or its model",
        most=0,
    ),
    _fault_gate(
        "scores",
        "scores and weights outside of 0 to 1, and scores that are no multiple of 0.0001",
        "scores are out of range: look at the bundle",
    ),
    _fault_gate(
        "known_tags",
        "rows of `track_tags` whose tag is not in the taxonomy, or whose track was not tagged",
        "rows have tags that the taxonomy lacks: look at the bundle",
    ),
    _fault_gate(
        "hierarchy",
        "pairs of track and tag whose score exceeds that of a broader tag",
        "tracks have higher scores for a tag than for its broader tag: look at the bundle",
    ),
    Gate(
        name="source_rows",
        what="rows of a source of `--source` that cannot be read, or whose tag or id is not known, divided by all its "
        "rows, for the worst source",
        measure=lambda facts: facts.lost_source_rows,
        words="more than the fraction {limit:.4g} of the rows of a source cannot be used: look at the examples in the "
        "report of the run, and correct the source, or raise --gate {name}=LIMIT",
        default=0.05,
        most=1,
        offenders=lambda facts, limit: lost_texts(facts.sources),
    ),
    Gate(
        name="unknown",
        what="tracks that failed for an unknown reason",
        measure=lambda facts: facts.unknown,
        words="{facts.unknown} tracks failed for an unknown reason, because of a bug in the program or its model: look "
        "at `detail` of these tracks in {facts.rejects}",
        most=math.inf,
        offenders=lambda facts, limit: facts.offenders("unknown"),
    ),
    Gate(
        name="files",
        what="files that are missing, or have another size or other bytes",
        measure=lambda facts: len(facts.wrong_files),
        words="{facts.wrong_files[0]}: {facts.remedy}",
        offenders=lambda facts, limit: facts.wrong_files[1:],
    ),
    Gate(
        name="rollback",
        what="1 if a rollback has other files than the snapshot that it names",
        measure=lambda facts: None if facts.restored is None else int(not facts.restored),
        words="this rollback has other files than snapshot {facts.rolled_back_to}, or that snapshot was removed: run "
        "`rollback` again",
    ),
    Gate(
        name="labels",
        what="`prepare`: 1 if no track has a tag of the taxonomy",
        measure=lambda facts: None if facts.labelled is None else int(facts.labelled == 0),
        words="none of the {facts.catalog} tracks has a tag of the taxonomy: compare the tags of the catalog with the "
        "taxonomy",
    ),
    Gate(
        name="unavailable",
        what="tracks that could not be read, or whose decoder the machine ended, divided by all tracks",
        measure=lambda facts: facts.share(facts.unavailable),
        words="{facts.unavailable} of {facts.tried} tracks unavailable, more than the fraction {limit:.4g} "
        "({facts.listed}): run it again when the storage answers and memory is free, or "
        "raise --max-unavailable-ratio",
        default=GateLimits.max_unavailable_ratio,
        most=1,
        offenders=lambda facts, limit: facts.offenders("unavailable"),
    ),
    Gate(
        name="rejected",
        what="rejected tracks, divided by all tracks",
        measure=lambda facts: facts.share(facts.rejected),
        words="{facts.rejected} of {facts.tried} tracks rejected, more than the fraction {limit:.4g} "
        "({facts.listed}): look at the tracks and their reasons in {facts.rejects}, or raise --max-reject-ratio",
        default=GateLimits.max_reject_ratio,
        most=1,
        offenders=lambda facts, limit: facts.offenders("rejected"),
    ),
    Gate(
        name="more_rejected",
        what="share of rejected tracks, minus that of the last snapshot; both need 1,000 tracks",
        measure=lambda facts: facts.more_rejected,
        needs="1,000 tracks in the last snapshot and in the run",
        words="{facts.rejected} of {facts.tried} tracks rejected ({facts.listed}), a share that grew by more than "
        "{limit:.4g} since the last snapshot: look at the tracks and their reasons in {facts.rejects}, or raise "
        "--gate {name}=LIMIT",
        default=0.02,
        most=1,
        offenders=lambda facts, limit: facts.offenders("rejected"),
    ),
    Gate(
        name="examples",
        what="`prepare`: 1 if no track has an example",
        measure=lambda facts: None if facts.examples is None else int(facts.examples == 0),
        words="no track has an example ({facts.listed}): look at {facts.rejects}",
    ),
    _drift_gate(
        "drift_prevalence",
        "greatest factor by which the odds of a tag changed, over all tracks",
        prevalence_drift,
        default=3,
        needs=_BOTH_SIDES,
    ),
    _drift_gate(
        "drift_scores",
        "greatest population stability index of the scores of a tag, over all tracks",
        score_drift,
        default=0.25,
        needs=_BOTH_SIDES,
    ),
    _drift_gate(
        "drift_prevalence_unchanged",
        "the same as `drift_prevalence`, over tracks whose source did not change",
        unchanged_prevalence_drift,
        default=3,
        needs=_SAME_TRACKS,
    ),
    _drift_gate(
        "drift_scores_unchanged",
        "the same as `drift_scores`, over tracks whose source did not change",
        unchanged_score_drift,
        default=0.25,
        needs=_SAME_TRACKS,
    ),
    _drift_gate(
        "drift_order_unchanged",
        "1 minus the lowest correlation of the scores of a tag with its last scores, over the same tracks",
        unchanged_order_drift,
        default=0.5,
        needs=f"{_SAME_TRACKS}, {LEAST_POSITIVES} of them with the tag",
    ),
)
"""Every gate. A refusal names all that fail, in this order."""

GATE_BY_NAME = {gate.name: gate for gate in GATES}
