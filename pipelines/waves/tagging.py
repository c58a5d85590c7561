"""`tag` on this machine: waves of buckets, so that memory does not depend on the number of tracks."""

import dataclasses
import gc
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.launch.beam import new_pipeline, run_pipeline, with_workers, worker_threads
from pipelines.waves.catalog_rows import group_catalog, sorted_bucket
from transforms.assemble_buckets import AssembleBuckets, AssembleSettings, Buckets
from transforms.catalog.problems import ProblemTally
from transforms.catalog.reader import CatalogShard
from transforms.embed_chunks import EmbedChunks, EmbedSettings, PartEntry
from transforms.find_duplicates import duplicates
from transforms.formats.arrow import from_ipc, group_numbers, to_ipc
from transforms.formats.grouped_rows import GroupedRows, GroupWriter
from transforms.formats.hashing import combine
from transforms.keep_elements import KeepElements, kept_elements
from transforms.list_digests import ListDigests
from transforms.name_run import run_id_of
from transforms.plan_buckets import PlanBuckets
from transforms.record_run import RecordRunSettings, RunResults, record_run
from transforms.storage.scratch import Scratch, open_scratch
from transforms.sum_work import SumWork
from transforms.tagging.bucket_files import BucketReport
from transforms.telemetry.work import WorkTotals

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
    """

    shards: Sequence[CatalogShard]
    buckets: int
    chunk_tracks: int
    embed: EmbedSettings
    assemble: AssembleSettings
    record: RecordRunSettings


def tag_in_waves(stages: TagStages, options: PipelineOptions) -> None:
    """Tags a catalog on this machine, and records the run.

    The rows are grouped by bucket on disk. Each wave is one pipeline over a few buckets: first extraction of all
    buckets, then, after the run has its name, assembly of all buckets. A killed run resumes like any other: from its
    part files.
    """
    with open_scratch() as scratch:
        run = _Waves(stages, options, scratch)
        problems = ProblemTally()
        group_catalog(stages.shards, run.rows, stages.buckets, problems)
        if problems.sample().count:
            run_id = ""
        else:
            run.extract()
            run_id = run.settle()
            run.assemble(run_id)
        results = RunResults(run.reports, run.extracted, problems.sample(), run.work)
        record_run(run_id, results, stages.record)


class _Waves:
    """What the waves of one run have done so far. What grows with the number of tracks is on disk."""

    def __init__(self, stages: TagStages, options: PipelineOptions, scratch: Scratch) -> None:
        self._stages, self._options, self._scratch = stages, options, scratch
        self.rows = GroupedRows(scratch, "rows")
        self._joins = _Joins(*(GroupedRows(scratch, name) for name in ("rows", "parts", "duplicates")))
        self._sources = GroupedRows(scratch, "sources")
        self._outcomes: list[str] = []
        self.reports: list[BucketReport] = []
        self.extracted = (0, 0)
        self.work = WorkTotals()

    def extract(self) -> None:
        """Extracts the tracks of all buckets."""
        for wave in self._waves(worker_threads(self._options)):
            self._run(wave, self._options, self._extraction)
            for entry in self._kept("parts"):
                self._add_part(entry)
            with GroupWriter(self._sources) as writer:
                for data in self._kept("sources"):
                    sources = from_ipc(data)
                    numbers = group_numbers(sources["source_sha256"].to_pylist(), self._stages.buckets)
                    writer.add(sources, numbers)
            self._outcomes += self._kept("outcomes")

    def _extraction(self, buckets: beam.PCollection[int]) -> Iterator[tuple[str, beam.PCollection[Any]]]:
        known, joins = self._stages.assemble.known, self._joins
        rows = buckets | "OpenRows" >> beam.Map(joins.keyed_rows)
        plan = rows | "PlanBuckets" >> PlanBuckets(known, self._stages.chunk_tracks)
        embedded = plan.chunks | "EmbedChunks" >> EmbedChunks(self._stages.embed)
        parts = embedded.parts | "KeyParts" >> beam.Map(lambda entry: (entry.bucket, entry.url))
        ready = {"buckets": buckets | "KeyBuckets" >> beam.Map(lambda b: (b, b)), "parts": parts}
        waited = ready | "AwaitParts" >> beam.CoGroupByKey()
        opened = waited | "OpenBuckets" >> beam.Map(joins.with_rows)
        digests = opened | "ListDigests" >> ListDigests(known)
        yield "parts", embedded.parts
        yield "sources", digests.sources
        yield "outcomes", digests.outcomes
        yield "work", (embedded.work,) | "SumWork" >> SumWork()

    def _add_part(self, entry: PartEntry) -> None:
        tracks, decoded = self.extracted
        self.extracted = tracks + entry.tracks, decoded + entry.decoded
        self._joins.parts.append(entry.bucket, to_ipc(pa.table({"url": [entry.url]})))

    def settle(self) -> str:
        """Finds tracks with the same bytes in all buckets; returns the run's id."""
        with GroupWriter(self._joins.duplicates) as writer:
            for number in self._sources.numbers():
                sources = self._sources.group(number)
                if sources is not None:
                    pairs = duplicates(sources)
                    writer.add(pairs.drop_columns("bucket"), pairs["bucket"].to_numpy())
                self._sources.remove(number)
        record = self._stages.record
        return run_id_of(record.known, record.publication, combine(self._outcomes))

    def assemble(self, run_id: str) -> None:
        """Writes the tables of all buckets."""
        workers = max(1, worker_threads(self._options) // THREADS_PER_ASSEMBLY)
        options = with_workers(self._options, workers)

        def assembly(buckets: beam.PCollection[int]) -> Iterator[tuple[str, beam.PCollection[Any]]]:
            groups = buckets | "OpenBuckets" >> beam.Map(self._joins.open)
            named = buckets.pipeline | "NameRun" >> beam.Create([run_id])
            done = Buckets(groups, named) | "AssembleBuckets" >> AssembleBuckets(self._stages.assemble)
            yield "reports", done.reports
            yield "work", (done.work,) | "SumWork" >> SumWork()

        for wave in self._waves(workers):
            self._run(wave, options, assembly)
            self.reports += self._kept("reports")

    def _waves(self, workers: int) -> Iterator[list[int]]:
        buckets = iter(self.rows.numbers())
        while wave := list(itertools.islice(buckets, max(WAVE_BUCKETS, workers))):
            yield wave

    def _run(self, wave: list[int], options: PipelineOptions, build: Any) -> None:
        """Runs one pipeline over the buckets of a wave, and adds its work."""
        root = new_pipeline(options)
        buckets = root | "ListBuckets" >> beam.Create(wave)
        for name, elements in build(buckets):
            _ = elements | f"Keep {name}" >> KeepElements(self._scratch, f"kept-{name}")
        run_pipeline(root)
        for work in self._kept("work"):
            self.work.merge(work)
        del root, buckets
        gc.collect()  # a pipeline and its runner are in reference cycles

    def _kept(self, name: str) -> Iterator[Any]:
        return kept_elements(self._scratch, f"kept-{name}")


@dataclasses.dataclass(frozen=True)
class _Joins:
    """The inputs of buckets on disk, which workers open by the number of the bucket."""

    rows: GroupedRows
    parts: GroupedRows
    duplicates: GroupedRows

    def keyed_rows(self, bucket: int) -> tuple[int, bytes]:
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
