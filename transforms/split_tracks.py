"""SplitTracks: labelled catalog rows become chunks of one split each."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.metrics import Metrics
from apache_beam.typehints import no_annotations

from transforms.dataset.plan import SplitPlan, plan_labelled
from transforms.formats.arrow import concat, from_ipc, to_ipc
from transforms.formats.hashing import bucket_of


class LabelledPlan(NamedTuple):
    """What `SplitTracks` gives.

    Attributes:
      chunks: `LabelledChunk`s.
      left_out: `DatasetStats` of the tracks that no chunk holds.
      problems: repeated ids, unknown tags, words that are no split.
    """

    chunks: beam.PCollection
    left_out: beam.PCollection
    problems: beam.PCollection


class SplitTracks(beam.PTransform):
    """Arrow batches of rows with source versions in, `LabelledPlan` out. Rows are shuffled once, by hash of id."""

    def __init__(self, plan: SplitPlan, buckets: int) -> None:
        super().__init__()
        self._plan, self._buckets = plan, buckets

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, batches: beam.PCollection) -> LabelledPlan:
        """Groups rows so that repeated ids meet, then plans each group."""
        groups = batches | "SplitByHash" >> beam.FlatMap(_split, self._buckets) | "GroupRows" >> beam.GroupByKey()
        planned = groups | "PlanGroup" >> beam.FlatMap(_plan, self._plan).with_outputs(
            "left_out", "problems", main="chunks"
        )
        return LabelledPlan(planned.chunks, planned.left_out, planned.problems)


def _split(batch: bytes, buckets: int) -> Iterator[tuple[int, bytes]]:
    rows = from_ipc(batch)
    numbers = pa.array([bucket_of(track_id, buckets) for track_id in rows["track_id"].to_pylist()], pa.int32())
    for bucket in numbers.unique().to_pylist():
        yield bucket, to_ipc(rows.filter(pc.equal(numbers, bucket)).combine_chunks())


def _plan(group: tuple[int, Iterable[bytes]], plan: SplitPlan) -> Iterator[Any]:
    rows = concat(list(group[1]))
    planned = plan_labelled(rows, plan)
    Metrics.counter("split", "rows").inc(rows.num_rows)
    Metrics.counter("split", "chunks").inc(len(planned.chunks))
    yield from planned.chunks
    yield beam.pvalue.TaggedOutput("left_out", planned.left_out)
    yield from (beam.pvalue.TaggedOutput("problems", problem) for problem in planned.problems)
