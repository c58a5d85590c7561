"""`prepare` on this machine: waves of chunks, so that memory does not depend on the number of tracks."""

import dataclasses
import pickle
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.waves.catalog_rows import group_catalog
from pipelines.waves.running import Results, WaveCounts, WaveRunner, waves_of
from transforms.catalog.problems import FirstProblems, Problem, ProblemSample
from transforms.catalog.reader import CatalogShard
from transforms.dataset.manifest import ShardEntry
from transforms.dataset.plan import ChunkReport, LabelledChunk, add_digests, plan_labelled, rows_digest
from transforms.dataset.shards import without_tied
from transforms.dataset.stats import DatasetStats
from transforms.formats.arrow import group_numbers, to_ipc
from transforms.formats.grouped_rows import GroupedRows, GroupWriter
from transforms.record_dataset import DatasetResults, RecordDatasetSettings, conflicts_of, record_dataset, rejects_of
from transforms.settle_ties import find_tied, source_digests
from transforms.split_tracks import group_problems, plan_group
from transforms.storage.scratch import Scratch, open_scratch
from transforms.sum_work import SumWork
from transforms.telemetry.counters import SPLIT_TIED
from transforms.telemetry.phases import phase
from transforms.telemetry.work import Work, WorkTotals
from transforms.write_examples import WriteExamples, WriteSettings

WAVE_GROUPS = 16
"""Groups of catalog rows of a wave, about 1,000 rows each."""

_DIGEST = ("sha256", "split", "fingerprint", "track_id")
"""Columns of a `SourceDigest`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareStages:
    """Settings of the stages of `prepare`, whatever runs them.

    Attributes:
      shards: the catalog's shards.
      groups: number of groups in which rows are planned.
    """

    shards: Sequence[CatalogShard]
    groups: int
    write: WriteSettings
    record: RecordDatasetSettings


def prepare_in_waves(stages: PrepareStages, options: PipelineOptions) -> None:
    """Prepares a dataset on this machine, and records it.

    The rows are grouped on disk, and each wave is one pipeline over a few groups. Tied tracks are found when all chunks
    are written. A killed run resumes like any other: from the reports of finished chunks.
    """
    with open_scratch() as scratch:
        run = _PrepareRun(stages, scratch)
        if not run.read().count:
            run.write(WaveRunner(options, scratch))
            with phase("finding tracks with equal bytes"):
                run.settle()
        with phase("recording the dataset"):
            record_dataset(run.digest, run.results(), stages.record)


class _PrepareRun:
    """What the waves of one run have done so far. What grows with the number of tracks is on disk, except rejects."""

    def __init__(self, stages: PrepareStages, scratch: Scratch) -> None:
        self._stages, self._scratch, self._groups = stages, scratch, stages.groups
        self._rows, self._digests, self._sides, self._tied = (
            GroupedRows(scratch, name) for name in ("rows", "digests", "sides", "tied")
        )
        self._problems, self._stats, self._work = FirstProblems(), DatasetStats(), WorkTotals()
        self._progress = WaveCounts(self._work)
        self._shared: Counter[bool] = Counter()
        self._shards: list[ShardEntry] = []
        self._rejects: list[dict[str, Any]] = []
        self._conflicts: list[dict[str, Any]] = []
        self.digest = add_digests([])

    def read(self) -> ProblemSample:
        """Reads the catalog; returns its problems."""
        group_catalog(
            self._stages.shards,
            self._rows,
            self._stages.write.roots,
            self._groups,
            self._problems,
            check=self._check,
            see=self._add_digest,
        )
        return self._problems.sample()

    def _check(self, number: int, rows: pa.Table) -> list[Problem]:
        self._progress.add_group(number, rows.num_rows)
        return group_problems(rows, plan_labelled(rows, self._stages.record.plan), self._stages.write.roots)

    def _add_digest(self, batch: pa.Table) -> None:
        self.digest = add_digests([self.digest, rows_digest(batch, self._stages.record.plan.column)])

    def write(self, runner: WaveRunner) -> None:
        """Extracts all labelled tracks and writes their shards."""
        waves = waves_of(self._rows.numbers(), WAVE_GROUPS)
        for wave in self._progress.waves("extracting", waves, extracts=True):
            runner.run(wave, self._writing)
            with GroupWriter(self._digests) as digests, GroupWriter(self._sides) as sides:
                for report in runner.kept("reports"):
                    self._put_off(report, digests)
                for split, groups in runner.kept("sides"):
                    sides.add(pa.table({"group": groups, "split": [split] * len(groups)}), self._numbers(groups))
            for stats in runner.kept("left_out"):
                self._stats.add(stats)
            for work in runner.kept("work"):
                self._work.merge(work)

    def _writing(self, numbers: beam.PCollection[int]) -> Results:
        rows = numbers | "OpenRows" >> beam.Map(_open_rows, self._rows)
        plan = beam.FlatMap(plan_group, self._stages.record.plan, self._stages.write.roots)
        planned = rows | "PlanGroup" >> plan.with_outputs("left_out", "problems", "work", main="chunks")
        written = planned.chunks | "WriteExamples" >> WriteExamples(self._stages.write)
        yield "reports", written.reports
        yield "sides", planned.chunks | "ListSides" >> beam.Map(_artists_of)
        yield "left_out", planned.left_out
        yield "work", (planned.work, written.work) | "SumWork" >> SumWork()

    def _put_off(self, report: ChunkReport, digests: GroupWriter) -> None:
        """Writes a report, and the digests of its examples, to disk."""
        (number,) = self._numbers([report.fingerprint])
        self._scratch.append(f"reports/{number}", pickle.dumps(report, protocol=pickle.HIGHEST_PROTOCOL))
        entries = [entry for _, part in source_digests(report) for entry in part]
        if entries:
            columns = [list(column) for column in zip(*entries, strict=True)]
            digests.add(pa.table(columns, names=_DIGEST), self._numbers(columns[0]))

    def _numbers(self, keys: Iterable[str]) -> np.ndarray:
        return group_numbers(keys, self._groups)

    def settle(self) -> None:
        """Takes tied tracks out of their shards, and counts the artists."""
        with GroupWriter(self._tied) as writer:
            for number in self._digests.numbers():
                rows = self._digests.group(number).to_pylist()
                pairs = list(find_tied([tuple(row[name] for name in _DIGEST) for row in rows]))
                if pairs:
                    columns = [list(column) for column in zip(*pairs, strict=True)]
                    writer.add(pa.table(columns, names=("fingerprint", "track_id")), self._numbers(columns[0]))
        for name in self._scratch.names("reports"):
            tied: dict[str, set[str]] = {}
            for piece in self._tied.pieces(int(name.rpartition("/")[2])):
                for row in piece.to_pylist():
                    tied.setdefault(row["fingerprint"], set()).add(row["track_id"])
            for record in self._scratch.records(name):
                self._settle_report(pickle.loads(record), tied)
        for number in self._sides.numbers():
            sides = set(map(tuple, zip(*self._sides.group(number).to_pydict().values(), strict=True)))
            self._shared.update(count > 1 for count in Counter(group for group, _ in sides).values())

    def _settle_report(self, report: ChunkReport, tied: Mapping[str, set[str]]) -> None:
        own, work = tied.get(report.fingerprint, set()), Work()
        work.add(SPLIT_TIED, len(own))
        self._work.add(work)
        settled = without_tied(report, own, self._stages.write.shards)
        self._stats.add(settled.stats)
        self._shards += [settled.shard] if settled.shard is not None else []
        self._rejects += rejects_of(settled)
        self._conflicts += conflicts_of(settled)

    def results(self) -> DatasetResults:
        """The results of all waves."""
        return DatasetResults(
            stats=self._stats,
            groups=self._shared,
            shards=self._shards,
            rejects=self._rejects,
            conflicts=self._conflicts,
            problems=self._problems.sample(),
            work=self._work,
        )


def _open_rows(number: int, rows: GroupedRows) -> tuple[int, list[bytes]]:
    return number, [to_ipc(rows.group(number))]


def _artists_of(chunk: LabelledChunk) -> tuple[str, list[str]]:
    return chunk.split, sorted({track.group for track in chunk.tracks})
