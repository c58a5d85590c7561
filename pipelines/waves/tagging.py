"""`tag` on this machine: waves of buckets, so that memory does not depend on the number of tracks."""

import concurrent.futures
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.launch.beam import with_workers, worker_threads
from pipelines.waves.catalog_rows import group_catalog, sorted_bucket
from pipelines.waves.running import Results, WaveCounts, WaveRunner, waves_of
from pipelines.waves.source_rows import join_sources
from transforms.aggregate_groups import aggregate_bucket
from transforms.assemble_buckets import AssembleBuckets, AssembleSettings, Buckets
from transforms.catalog.problems import FirstProblems, Problem, ProblemSample
from transforms.catalog.reader import CatalogShard, repeated_ids
from transforms.catalog.sources import refused_sources
from transforms.embed_chunks import EmbedChunks, EmbedSettings, PartEntry
from transforms.find_duplicates import duplicates
from transforms.formats.arrow import from_ipc, group_numbers, to_ipc
from transforms.formats.grouped_rows import GroupedRows, GroupWriter
from transforms.formats.hashing import combine
from transforms.fusion.settings import Fusion
from transforms.fusion.tally import RowTally
from transforms.list_digests import ListDigests
from transforms.name_run import run_id_of
from transforms.plan_buckets import PlanBuckets
from transforms.publishing.source_rows import require_source_rows
from transforms.record_run import RecordRunSettings, RunResults, record_run
from transforms.schemas.tables import GROUPED_BY
from transforms.storage.scratch import Scratch, open_scratch
from transforms.sum_evidence import SumEvidence, add_evidence
from transforms.sum_work import SumWork
from transforms.table.snapshots import DataFile
from transforms.tagging.bucket_files import BucketReport
from transforms.tagging.evidence import Evidence
from transforms.tagging.planning import plan_chunks
from transforms.telemetry.phases import phase
from transforms.telemetry.work import Work, WorkTotals

WAVE_BUCKETS = 4
"""Buckets of a wave, if there are fewer worker threads."""

THREADS_PER_ASSEMBLY = 4
"""Worker threads for each bucket that is assembled at a time. Assembly takes the most memory, and few of its steps run
in parallel."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TagStages:
    """Settings of the stages of `tag`, whatever runs them.

    Attributes:
      shards: the catalog's shards.
      buckets: number of buckets of the table.
      chunk_tracks: largest number of tracks of a chunk.
      fusion: the sources; None in a run without sources.
    """

    shards: Sequence[CatalogShard]
    buckets: int
    chunk_tracks: int
    embed: EmbedSettings
    assemble: AssembleSettings
    record: RecordRunSettings
    fusion: Fusion | None = None


def tag_in_waves(stages: TagStages, options: PipelineOptions) -> None:
    """Tags a catalog on this machine, and records the run.

    The rows are grouped by bucket on disk. Each wave is one pipeline over a few buckets: first extraction of all
    buckets, then, after the run has its name, assembly of all buckets. A killed run resumes like any other: from its
    part files.

    Raises:
      LostSourceRows: too many rows of a source cannot be used. Nothing was extracted.
    """
    with open_scratch() as scratch:
        run, run_id = _TagRun(stages, options, scratch), ""
        if not run.read().count:
            run.extract()
            run_id = run.settle()
            run.assemble(run_id)
            run.aggregate(run_id)
        with phase("recording the run"):
            record_run(run_id, run.results(), stages.record)


def problems_of_bucket(stages: TagStages, bucket: int, rows: pa.Table) -> list[Problem]:
    """Repeated ids, and tracks to be read that are outside of the roots."""
    roots, known = stages.embed.roots, stages.assemble.known
    if problems := repeated_ids(rows):
        return problems
    if not refused_sources(rows, rows["track_id"].to_pylist(), roots):
        return []
    # Unchanged tracks are not read, so they may be anywhere; only such a bucket is planned twice.
    chunks = plan_chunks(known, bucket, rows.sort_by("track_id"), stages.chunk_tracks)
    return refused_sources(rows, [source.track_id for chunk in chunks for source in chunk.tracks], roots)


class _TagRun:
    """What the waves of one run have done so far. What grows with the number of tracks is on disk."""

    def __init__(self, stages: TagStages, options: PipelineOptions, scratch: Scratch) -> None:
        self._stages, self._options, self._scratch = stages, options, scratch
        self._inputs = _Inputs(*(GroupedRows(scratch, name) for name in ("rows", "parts", "duplicates")))
        self._sources = GroupedRows(scratch, "sources")
        self._outcomes: list[str] = []
        self._problems = FirstProblems()
        self._reports: list[BucketReport] = []
        self._groups = {name: GroupedRows(scratch, name) for name in GROUPED_BY}
        self._group_files: list[DataFile] = []
        self._extracted = (0, 0, 0)
        self._work = WorkTotals()
        self._evidence = Evidence()
        self._progress = WaveCounts(self._work)
        self._tally = RowTally()

    def read(self) -> ProblemSample:
        """Reads the catalog; returns its problems."""
        stages = self._stages
        group_catalog(
            stages.shards,
            self._inputs.rows,
            stages.embed.roots,
            stages.buckets,
            self._problems,
            check=self._check,
            sample=stages.assemble.known.sample,
        )
        if stages.fusion is not None and not self._problems.sample().count:
            rows, self._tally = join_sources(self._inputs.rows, stages.fusion, stages.buckets, self._problems)
            self._inputs = dataclasses.replace(self._inputs, rows=rows)
            require_source_rows(self._tally, stages.fusion, stages.record.limits)
        return self._problems.sample()

    def _check(self, bucket: int, rows: pa.Table) -> list[Problem]:
        self._progress.add_group(bucket, rows.num_rows)
        return problems_of_bucket(self._stages, bucket, rows)

    def extract(self) -> None:
        """Extracts the tracks of all buckets."""
        runner = WaveRunner(self._options, self._scratch)
        waves = self._waves(worker_threads(self._options))
        for wave in self._progress.waves("extracting", waves, extracts=True):
            runner.run(wave, self._extraction)
            for entry in runner.kept("parts"):
                self._add_part(entry)
            with GroupWriter(self._sources) as writer:
                for data in runner.kept("sources"):
                    sources = from_ipc(data)
                    writer.add(sources, group_numbers(sources["source_sha256"].to_pylist(), self._stages.buckets))
            self._outcomes += runner.kept("outcomes")
            self._add_work(runner)

    def _extraction(self, buckets: beam.PCollection[int]) -> Results:
        known, inputs = self._stages.assemble.known, self._inputs
        rows = buckets | "OpenRows" >> beam.Map(inputs.sorted_rows)
        plan = rows | "PlanBuckets" >> PlanBuckets(known, self._stages.embed.roots, self._stages.chunk_tracks)
        embedded = plan.chunks | "EmbedChunks" >> EmbedChunks(self._stages.embed)
        parts = embedded.parts | "KeyParts" >> beam.Map(lambda entry: (entry.bucket, entry.url))
        numbers = buckets | "KeyNumbers" >> beam.Map(lambda bucket: (bucket, bucket))
        waited = {"numbers": numbers, "parts": parts} | "AwaitParts" >> beam.CoGroupByKey()
        digests = waited | "OpenBuckets" >> beam.Map(inputs.with_rows) | "ListDigests" >> ListDigests(known)
        yield "parts", embedded.parts
        yield "sources", digests.sources
        yield "outcomes", digests.outcomes
        yield "work", (plan.work, embedded.work) | "SumWork" >> SumWork()

    def _add_part(self, entry: PartEntry) -> None:
        tracks, decoded, measured = self._extracted
        self._extracted = tracks + entry.tracks, decoded + entry.decoded, measured + entry.measured
        self._inputs.parts.append(entry.bucket, to_ipc(pa.table({"url": [entry.url]})))

    def _add_work(self, runner: WaveRunner) -> None:
        for work in runner.kept("work"):
            self._work.merge(work)

    def _waves(self, workers: int) -> Iterator[list[int]]:
        return waves_of(self._inputs.rows.numbers(), max(WAVE_BUCKETS, workers))

    def settle(self) -> str:
        """Finds tracks with the same bytes in all buckets; returns the run's id."""
        with phase("finding duplicates"), GroupWriter(self._inputs.duplicates) as writer:
            for number in self._sources.numbers():
                pairs = duplicates(self._sources.group(number))
                writer.add(pairs.drop_columns("bucket"), pairs["bucket"].to_numpy())
                self._sources.remove(number)
        record, fusion = self._stages.record, self._stages.fusion
        sources = [] if fusion is None else [fusion.record_digest(self._tally)]
        return run_id_of(record.known, record.publication, combine([*self._outcomes, *sources]))

    def assemble(self, run_id: str) -> None:
        """Writes the tables of all buckets."""
        workers = max(1, worker_threads(self._options) // THREADS_PER_ASSEMBLY)
        runner = WaveRunner(with_workers(self._options, workers), self._scratch)

        def assembly(buckets: beam.PCollection[int]) -> Results:
            groups = buckets | "OpenBuckets" >> beam.Map(self._inputs.open)
            named = buckets.pipeline | "NameRun" >> beam.Create([run_id])
            done = Buckets(groups, named) | "AssembleBuckets" >> AssembleBuckets(self._stages.assemble)
            yield "reports", done.reports
            yield "work", (done.work,) | "SumWork" >> SumWork()
            yield "evidence", done.evidence | "SumEvidence" >> SumEvidence()
            yield from done.groups.items()

        for wave in self._progress.waves("scoring and writing tables", self._waves(workers), extracts=False):
            runner.run(wave, assembly)
            self._reports += runner.kept("reports")
            self._evidence = add_evidence([self._evidence, *runner.kept("evidence")])
            for name, groups in self._groups.items():
                with GroupWriter(groups) as writer:
                    for data in runner.kept(name):
                        pieces = from_ipc(data)
                        writer.add(pieces.drop_columns("bucket"), pieces["bucket"].to_numpy())
            self._add_work(runner)

    def aggregate(self, run_id: str) -> None:
        """Writes the tags of artists and albums: each thread has one of their buckets in memory."""
        settings, work = self._stages.assemble, WorkTotals()
        tagger = settings.load_tagger()

        def aggregated(bucket: int) -> tuple[list[DataFile], Work]:
            pieces = {name: map(to_ipc, groups.pieces(bucket)) for name, groups in self._groups.items()}
            return aggregate_bucket(settings, tagger, bucket, pieces, run_id)

        numbers = sorted({number for groups in self._groups.values() for number in groups.numbers()})
        threads = max(1, worker_threads(self._options) // THREADS_PER_ASSEMBLY)
        with phase("writing tags of artists and albums"), concurrent.futures.ThreadPoolExecutor(threads) as workers:
            for files, done in workers.map(aggregated, numbers):
                self._group_files += files
                work.add(done)
        self._work.merge(work)

    def results(self) -> RunResults:
        """The results of all waves."""
        problems = self._problems.sample()
        return RunResults(
            self._reports, self._extracted, problems, self._work, self._evidence, self._group_files, self._tally
        )


@dataclasses.dataclass(frozen=True)
class _Inputs:
    """The inputs of buckets on disk, which workers open by the number of the bucket."""

    rows: GroupedRows
    parts: GroupedRows
    duplicates: GroupedRows

    def sorted_rows(self, bucket: int) -> tuple[int, bytes]:
        """(bucket, Arrow IPC of its catalog rows, sorted by track_id)."""
        return bucket, sorted_bucket(bucket, self.rows)

    def with_rows(self, item: tuple[int, dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        """Adds the rows of a bucket to its part files."""
        bucket, group = item
        return bucket, {"rows": [sorted_bucket(bucket, self.rows)], "parts": group["parts"]}

    def open(self, bucket: int) -> tuple[int, dict[str, Any]]:
        """The bucket's inputs as `AssembleBuckets` takes them."""
        urls = [url for piece in self.parts.pieces(bucket) for url in piece["url"].to_pylist()]
        pairs = [to_ipc(piece) for piece in self.duplicates.pieces(bucket)]
        return bucket, {"rows": [sorted_bucket(bucket, self.rows)], "parts": urls, "duplicates": pairs}
