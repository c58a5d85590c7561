"""RecordRun: the last step of `tag` writes the run manifest, unless the catalog has problems, and a receipt."""

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.typehints import no_annotations

from transforms.catalog.problems import ProblemSample
from transforms.fusion.settings import Fusion, lost_examples
from transforms.fusion.tally import RowTally
from transforms.levels.writing import done_compaction, planned_compaction
from transforms.plan_buckets import forecast_of
from transforms.publishing import receipts
from transforms.publishing.audit import run_facts
from transforms.publishing.commit import write_run
from transforms.publishing.gates import GateLimits
from transforms.publishing.judging import gates_json, judge, refusal
from transforms.publishing.receipts import Receipt
from transforms.sample_problems import SampleProblems
from transforms.schemas.embedding_parts import EmbeddingPart
from transforms.table.neighbours import kept_neighbours
from transforms.table.snapshots import DEFERRED, POSTPONED, DataFile, EarlierIds, Run
from transforms.tagging.assembly import PublishedRows
from transforms.tagging.bucket_files import BucketReport, write_table_file
from transforms.tagging.costs import STAGES, UnitCosts, estimated
from transforms.tagging.evidence import Evidence
from transforms.tagging.examination import BucketExaminer
from transforms.tagging.forecast import ACTIONS
from transforms.tagging.kept_rows import POSTPONED_TAGGED, earlier_ids
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.tagger import Tagger
from transforms.telemetry.counters import SOURCE_BYTES
from transforms.telemetry.work import WorkTotals


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expectations:
    """What the launcher knows about the cost of the run.

    Attributes:
      units: costs of a track.
      bundles: bundles that embed each track.
      began: time of the launch, seconds since 1970.
      budget: the choice of a run with a budget, see `TrackChoice.to_json`; None for other runs.
    """

    units: UnitCosts = dataclasses.field(default_factory=UnitCosts)
    bundles: int = 1
    began: float = dataclasses.field(default_factory=time.time)
    budget: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordRunSettings:
    """Settings of the last step.

    Attributes:
      counted: number of rows of the catalog that the launcher counted.
      limits: limits of the gates for this launch; `publish` can use others.
      launch: path of this launch's receipt, relative to the table root.
      expectations: what the run is expected to cost.
      fusion: the sources; None in a run without sources.
      parameters: how parameters are measured, in the form of `Run.parameters`.
    """

    known: PriorOutcomes
    load_tagger: Callable[[], Tagger]
    publication: PublishedRows
    counted: int
    limits: GateLimits
    launch: str
    expectations: Expectations = dataclasses.field(default_factory=Expectations)
    fusion: Fusion | None = None
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class RecordRun(beam.PTransform[tuple[beam.PCollection[Any], ...], beam.PCollection[None]]):
    """Takes (reports, groups, parts, problems, work, evidence, run_id); writes the run's manifest and the receipt.

    `groups` are files of `artist_tags` and `album_tags`, `work` is one `WorkTotals`, `evidence` one `Evidence`. In a
    fused run, a `RowTally` of the rows of all sources follows.
    """

    def __init__(self, settings: RecordRunSettings) -> None:
        super().__init__()
        self._settings = settings

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, inputs: tuple[beam.PCollection[Any], ...]) -> beam.PCollection[None]:
        """Records the run as one element; sums and one report per bucket are side inputs."""
        reports, groups, parts, problems, work, evidence, run_id, *tally = inputs
        extracted = (
            parts
            | "TakeCounts" >> beam.Map(lambda entry: (entry.tracks, entry.decoded, entry.measured))
            | "SumCounts" >> beam.CombineGlobally(beam.combiners.TupleCombineFn(sum, sum, sum))
        )
        recorded: beam.PCollection[None] = run_id | "RecordRun" >> beam.Map(
            lambda run_id, settings, **sides: record_run(run_id, RunResults(**sides), settings),
            reports=beam.pvalue.AsList(reports),
            groups=beam.pvalue.AsList(groups),
            extracted=beam.pvalue.AsSingleton(extracted),
            problems=beam.pvalue.AsSingleton(problems | "SampleProblems" >> SampleProblems()),
            work=beam.pvalue.AsSingleton(work),
            evidence=beam.pvalue.AsSingleton(evidence),
            settings=self._settings,
            **({"tally": beam.pvalue.AsSingleton(tally[0])} if tally else {}),
        )
        return recorded


class RunResults(NamedTuple):
    """Results of a run: `extracted` is (tracks in this launch's part files, how many of them were decoded, and further
    ones that were decoded for their parameters alone).

    `groups` are the files of `artist_tags` and `album_tags`, `tally` says what became of the rows of sources.
    """

    reports: list[BucketReport]
    extracted: tuple[int, int, int]
    problems: ProblemSample
    work: WorkTotals
    evidence: Evidence
    groups: Sequence[DataFile] = ()
    tally: RowTally = RowTally()


def record_run(run_id: str, sides: RunResults, settings: RecordRunSettings) -> None:
    """Writes the run's manifest and the receipt; if the catalog has problems, only the receipt.

    Args:
      run_id: id of the run; not used if the catalog has problems.
    """
    if sides.problems.count:
        found = sides.problems
        receipt = Receipt(run_id=None, problem_count=found.count, problems=found.lines, gates=found.gates)
    else:
        named = _named_tracks(sides)
        if settings.fusion is not None:
            named["sources"] = lost_examples(sides.tally, settings.fusion.policy)
        receipt = dataclasses.replace(_finish(_run(run_id, sides, settings), settings), tracks=named)
    receipts.write(settings.known.written_to, settings.launch, receipt)


def _named_tracks(sides: RunResults) -> dict[str, Any]:
    """The tracks that the report of the run names, in the form of `Receipt.tracks`."""
    return {**sides.work.costly.to_json(), "rejects": sides.evidence.examples()}


def _finish(run: Run, settings: RecordRunSettings) -> Receipt:
    """Judges and writes the run.

    A run that read another number of rows than were counted is not written: the id does not depend on the counted
    number, so the run would block the same rows of a later launch.
    """
    place = settings.known.written_to
    results = judge(run_facts(place, run, hashed=False), settings.limits)
    if (lost := refusal(result for result in results if result.name == "counted")) is not None:
        return Receipt(run_id=None, counts=run.counts, refused=lost, measured=run.measured, plan=run.plan)
    written = write_run(place, dataclasses.replace(run, gates=gates_json(results)))
    return Receipt(run_id=written.run_id, counts=run.counts, measured=run.measured, plan=run.plan)


def _run(run_id: str, sides: RunResults, settings: RecordRunSettings) -> Run:
    tagger = settings.load_tagger()
    rows = tagger.taxonomy_rows()
    evidence = sides.evidence + _absent(sides.reports, settings, rows)
    rows = rows.sort_by("tag")
    taxonomy = write_table_file(settings.known, -1, "taxonomy", rows, run_id)
    files, groups = (
        sorted(found, key=lambda f: (f.table, f.bucket, f.order))
        for found in ((f for report in sides.reports for f in report.files), sides.groups)
    )
    counts, changes = _counts(sides.reports, *sides.extracted[:2]), _changes(sides.reports, settings.known)
    kept = [one for report in sides.reports for one in report.kept]
    kept_files, neighbours = kept_neighbours(_parent_run(settings.known), changes, counts["tagged"])
    earlier = earlier_ids(kept, settings.known.snapshot)
    embedding_parts, trunk_ids = _origins(tagger, settings.known, earlier)
    return Run(
        run_id=run_id,
        parent=settings.known.parent,
        ids=settings.known.ids,
        counts=counts,
        reasons=dict(sum((Counter(report.reasons) for report in sides.reports), Counter())),
        counted=settings.counted,
        changes=changes,
        evidence={**evidence.to_json(), "before": _before(settings.known)},
        options=settings.publication.to_json(),
        files=(*files, taxonomy, *groups, *kept_files),
        measured=sides.work.to_json(),
        plan=_plan(sides, settings, counts, changes, (*files, *groups)),
        fusion={} if settings.fusion is None else settings.fusion.record(sides.tally),
        licences=tagger.licences,
        earlier=earlier,
        neighbours=neighbours,
        parameters=dict(settings.parameters),
        rules=tuple(category.name for category in tagger.taxonomy.rules),
        embedding_parts=embedding_parts,
        trunk_ids=trunk_ids,
    )


def _origins(
    tagger: Tagger, known: PriorOutcomes, earlier: tuple[EarlierIds, ...]
) -> tuple[dict[str, tuple[EmbeddingPart, ...]], dict[str, tuple[str, ...]]]:
    """Parts and trunks of the run's embedding, and what the last snapshot knows of those of rows that were kept."""
    parts, trunks = {tagger.embedding_id: tagger.embedding_parts}, {tagger.embedding_id: tagger.trunk_ids}
    if known.snapshot is not None:
        before, kept = known.snapshot.manifest.run, {one.ids.embedding_id for one in earlier}
        parts = {name: before.embedding_parts[name] for name in sorted(kept & before.embedding_parts.keys())} | parts
        trunks = {name: before.trunk_ids[name] for name in sorted(kept & before.trunk_ids.keys())} | trunks
    return parts, trunks


def _parent_run(known: PriorOutcomes) -> Run | None:
    """The run of the last snapshot; None if there is none, or if the files are written to another place."""
    return None if known.snapshot is None or known.written_to != known.root else known.snapshot.manifest.run


def _plan(
    sides: RunResults,
    settings: RecordRunSettings,
    counts: dict[str, int],
    changes: dict[str, int],
    files: tuple[DataFile, ...],
) -> dict[str, Any]:
    """The plan and the outcome of a run, in the form of `Run.plan`."""
    expectations, work, before = settings.expectations, sides.work, settings.known.tracks_before
    forecast, seconds = forecast_of(work), work.to_json()["core_seconds"]
    compacting = planned_compaction(settings.known.compaction, settings.known.files_before)
    compacted = done_compaction(settings.known.compaction, settings.known.files_before, files)
    expected = estimated(forecast, expectations.units, expectations.bundles, compacting.write_bytes)
    fresh = sides.extracted[0] + counts["reused"]
    postponed = counts.get(POSTPONED, 0)
    carried = counts["carried"] - sum(report.counts.get(POSTPONED_TAGGED, 0) for report in sides.reports)
    measured = sides.extracted[2]
    return {
        "causes": dict(forecast.causes),
        **({} if expectations.budget is None else {"budget": dict(expectations.budget)}),
        "expected": {
            "new": forecast.causes["new"],
            "removed": forecast.removed(before),
            **{action: forecast.actions[action] for action in ACTIONS},
            "compaction": compacting._asdict(),
            "read_bytes": expected.read_bytes,
            "core_seconds": {stage: expected.core_seconds[stage] for stage in STAGES if stage not in expected.unknown},
        },
        "happened": {
            "new": changes["added"],
            "removed": changes["removed"],
            "extract": sides.extracted[0] + measured,
            "reuse": counts["reused"],
            "carry": carried - measured,
            "remember": counts["catalog"] - fresh - carried - postponed,
            "defer": postponed,
            "compaction": compacted._asdict(),
            "read_bytes": work.total(SOURCE_BYTES),
            "core_seconds": {stage: seconds.get(stage, 0.0) for stage in STAGES},
            "wall_seconds": round(time.time() - expectations.began, 3),
        },
    }


def _changes(reports: list[BucketReport], known: PriorOutcomes) -> dict[str, int]:
    """Tracks that the last snapshot lacks, and those that only it has. Buckets without rows have no report."""
    added = sum(report.added for report in reports)
    return {
        "added": added,
        "removed": known.tracks_before - sum(report.counts["catalog"] - report.added for report in reports),
    }


def _absent(reports: list[BucketReport], settings: RecordRunSettings, taxonomy: pa.Table) -> Evidence:
    """The evidence of buckets that only the last snapshot has. There are some if the catalog became tiny."""
    known = settings.known
    if known.snapshot is None:
        return Evidence()
    done = {file.bucket for report in reports for file in report.files}
    lacking = sorted({file.bucket for file in known.snapshot.manifest.files("ledger")} - done)
    examiner = BucketExaminer(known=known, publication=settings.publication, taxonomy=taxonomy)
    return sum((examiner.examine_absent(bucket) for bucket in lacking), start=Evidence())


def _before(known: PriorOutcomes) -> dict[str, int]:
    """The counts of the last snapshot; empty if there is none."""
    return {} if known.snapshot is None else known.snapshot.manifest.run.counts


def _counts(reports: Iterable[BucketReport], extracted: int, decoded: int) -> dict[str, int]:
    """Counts of the run; `decoded` is the work of this launch, `reused` comes from part files of earlier launches."""
    total = sum((Counter(report.counts) for report in reports), Counter())
    counts = {name: total[name] for name in ("catalog", "tagged", "carried", "rejected", "unavailable", "fresh")}
    fresh = counts.pop("fresh")
    budget = {name: total[name] for name in (DEFERRED, POSTPONED) if total[name]}
    return {**counts, "decoded": decoded, "reused": fresh - extracted, **budget}
