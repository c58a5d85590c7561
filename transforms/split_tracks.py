"""SplitTracks: divides labelled catalog rows into chunks, each of one split."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.typehints import no_annotations

from transforms.catalog.problems import Problem
from transforms.catalog.sources import refused_sources
from transforms.dataset.plan import LabelledChunk, PlannedChunks, SplitPlan, plan_labelled
from transforms.dataset.stats import DatasetStats
from transforms.extraction.tally import SETTLED
from transforms.formats.arrow import concat, split_by_bucket
from transforms.storage import SourceRoots
from transforms.sum_work import count_work
from transforms.telemetry.counters import SPLIT_CHUNKS, SPLIT_ROWS
from transforms.telemetry.work import Work


class LabelledPlan(NamedTuple):
    """Output of `SplitTracks`.

    Attributes:
      chunks: `LabelledChunk`s.
      left_out: `DatasetStats` of the tracks that are in no chunk.
      problems: repeated ids, unknown tags, values that are not a split, and tracks to be read that are outside of the
        roots.
      work: `Work` of each group of rows.
    """

    chunks: beam.PCollection[LabelledChunk]
    left_out: beam.PCollection[DatasetStats]
    problems: beam.PCollection[Problem]
    work: beam.PCollection[Work]


class SplitTracks(beam.PTransform[beam.PCollection[bytes], LabelledPlan]):
    """Takes Arrow batches of rows with source versions, returns a `LabelledPlan`. Shuffles once, by hash of the id."""

    def __init__(self, plan: SplitPlan, roots: SourceRoots, buckets: int) -> None:
        super().__init__()
        self._plan, self._roots, self._buckets = plan, roots, buckets

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, batches: beam.PCollection[bytes]) -> LabelledPlan:
        """Groups rows so that rows with the same id are in one group, then plans each group."""
        split = batches | "SplitByHash" >> beam.FlatMap(split_by_bucket, self._buckets)
        groups = split | "GroupRows" >> beam.GroupByKey()
        planned = groups | "PlanGroup" >> beam.FlatMap(plan_group, self._plan, self._roots).with_outputs(
            "left_out", "problems", "work", main="chunks"
        )
        return LabelledPlan(planned.chunks, planned.left_out, planned.problems, planned.work)


def group_problems(rows: pa.Table, planned: PlannedChunks, roots: SourceRoots) -> list[Problem]:
    """The problems of planned rows, among them those of tracks to be read that are outside of the roots."""
    tracks = [track.source.track_id for chunk in planned.chunks for track in chunk.tracks]
    return [*planned.problems, *refused_sources(rows, tracks, roots)]


def plan_group(group: tuple[int, Iterable[bytes]], plan: SplitPlan, roots: SourceRoots) -> Iterator[Any]:
    """Plans a group of rows, given as Arrow IPC. Yields its chunks, and the other outputs of `SplitTracks` by name."""
    rows = concat(list(group[1]))
    planned = plan_labelled(rows, plan)
    problems = group_problems(rows, planned, roots)
    SETTLED.add(rows.num_rows - sum(len(chunk.tracks) for chunk in planned.chunks))
    work = Work()
    work.add(SPLIT_ROWS, rows.num_rows)
    work.add(SPLIT_CHUNKS, len(planned.chunks))
    yield count_work(work)
    yield from planned.chunks
    yield beam.pvalue.TaggedOutput("left_out", planned.left_out)
    yield from (beam.pvalue.TaggedOutput("problems", problem) for problem in problems)
