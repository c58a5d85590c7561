"""AssembleBuckets: writes each bucket's files of the next snapshot from its catalog rows and outcomes."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.typehints import no_annotations

from transforms.aggregates.files import pieces_of_bucket
from transforms.aggregates.pieces import with_numbers
from transforms.formats.arrow import concat, from_ipc, to_ipc
from transforms.fusion.policy import Policy
from transforms.schemas.tables import GROUPED_BY
from transforms.sum_work import count_work
from transforms.tagging.assembly import PublishedRows, ScoredTracks, assemble_bucket, score_bucket
from transforms.tagging.bucket_files import BucketReport, write_bucket
from transforms.tagging.evidence import Evidence
from transforms.tagging.examination import BucketExaminer
from transforms.tagging.kept_rows import postponed_counts, scored_with_kept, with_kept_rows
from transforms.tagging.outcomes.assembled import assembled
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.tagger import Tagger
from transforms.telemetry.counters import ASSEMBLE_BYTES, ASSEMBLE_CORE, ASSEMBLED, TRACKS_WITHOUT
from transforms.telemetry.cpu import CoreTime
from transforms.telemetry.work import Work


class Buckets(NamedTuple):
    """Input of `AssembleBuckets`.

    Attributes:
      groups: (bucket, {"rows": [IPC], "parts": [url], "duplicates": [IPC of track_id and duplicate_of]}).
      run_id: the run's id as one element.
    """

    groups: beam.PCollection[tuple[int, dict[str, Any]]]
    run_id: beam.PCollection[str]


class AssembledBuckets(NamedTuple):
    """Output of `AssembleBuckets`: one `BucketReport` and one `Evidence` per bucket, and `Work`.

    Attributes:
      groups: `artist_tags` and `album_tags` -> what each bucket contributes: IPC of `with_numbers`.
    """

    reports: beam.PCollection[BucketReport]
    work: beam.PCollection[Work]
    evidence: beam.PCollection[Evidence]
    groups: dict[str, beam.PCollection[bytes]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AssembleSettings:
    """Everything a worker needs to assemble buckets; pickled with the graph.

    Attributes:
      load_tagger: loads heads, calibration and taxonomy on the worker, once per process; needs no TensorFlow.
      policy: how scores are combined with sources; None in a run without sources.
    """

    known: PriorOutcomes
    load_tagger: Callable[[], Tagger]
    publication: PublishedRows
    policy: Policy | None = None


class AssembleBuckets(beam.PTransform[Buckets, AssembledBuckets]):
    """Takes `Buckets`, returns `AssembledBuckets`. The job fails if a planned track has no outcome."""

    def __init__(self, settings: AssembleSettings) -> None:
        super().__init__()
        self._settings = settings

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, buckets: Buckets) -> AssembledBuckets:
        """Writes each bucket's tables."""
        assemble = beam.ParDo(_AssembleBucket(self._settings), beam.pvalue.AsSingleton(buckets.run_id))
        outputs = assemble.with_outputs("work", "evidence", *GROUPED_BY, main="reports")
        done = buckets.groups | "AssembleBucket" >> outputs
        return AssembledBuckets(done.reports, done.work, done.evidence, {name: done[name] for name in GROUPED_BY})


class _AssembleBucket(beam.DoFn):
    def __init__(self, settings: AssembleSettings) -> None:
        self._settings = settings
        if settings.known.buckets is None:
            raise ValueError("the number of buckets is not known")
        self._buckets = settings.known.buckets

    def setup(self) -> None:
        self._tagger = self._settings.load_tagger()
        self._examiner = BucketExaminer(
            known=self._settings.known,
            publication=self._settings.publication,
            taxonomy=self._tagger.taxonomy_rows(),
        )

    def process(self, item: tuple[int, dict[str, Any]], run_id: str) -> Iterator[Any]:
        bucket, group = item
        for data in group["rows"]:
            with CoreTime() as core:
                tables, scored, postponed = self._assemble(bucket, data, group, run_id)
                report = write_bucket(self._settings.known, bucket, tables, run_id, postponed)
                evidence = self._examiner.examine(bucket, tables)
                pieces = pieces_of_bucket(scored, self._tagger.taxonomy)
                streams = {name: to_ipc(with_numbers(own, self._buckets)) for name, own in pieces.items()}
            work = Work()
            work.add_all({TRACKS_WITHOUT[name]: scored.rows[key].null_count for name, key in GROUPED_BY.items()})
            work.add_all({measure: report.counts.get(status, 0) for status, measure in ASSEMBLED.items()})
            work.add(ASSEMBLE_BYTES, sum(file.bytes for file in report.files if file.run_id == run_id))
            work.add(ASSEMBLE_CORE, core.microseconds)
            yield report
            yield beam.pvalue.TaggedOutput("evidence", evidence)
            yield from (beam.pvalue.TaggedOutput(name, stream) for name, stream in streams.items())
            yield count_work(work)

    def _assemble(
        self, bucket: int, data: bytes, group: dict[str, Any], run_id: str
    ) -> tuple[dict[str, pa.Table], ScoredTracks, dict[str, int]]:
        known, rows, duplicates = self._settings.known, from_ipc(data), list(group["duplicates"])
        pairs = concat(duplicates).to_pydict() if duplicates else {"track_id": [], "duplicate_of": []}
        firsts = dict(zip(pairs["track_id"], pairs["duplicate_of"], strict=True))
        outcomes = assembled(known, bucket, rows, latest=group["parts"])
        publication, policy = self._settings.publication, self._settings.policy
        scored = score_bucket(rows, outcomes, self._tagger, policy)
        tables = assemble_bucket(
            rows,
            outcomes,
            firsts,
            self._tagger,
            run_id,
            publication,
            scored,
            policy,
            parameters=known.has_parameters,
        )
        if known.choice is None:
            return tables, scored, {}
        tables = with_kept_rows(tables, known.snapshot, bucket, rows, outcomes)
        every = scored_with_kept(scored, tables, rows, outcomes, self._tagger.taxonomy, publication)
        return tables, every, postponed_counts(outcomes)
