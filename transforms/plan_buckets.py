"""PlanBuckets: plans the chunks to extract of each bucket."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.typehints import no_annotations

from transforms.catalog.problems import Problem
from transforms.catalog.reader import repeated_ids
from transforms.catalog.sources import refused_sources
from transforms.extraction.source import CHUNK_TRACKS, Chunk
from transforms.extraction.tally import SETTLED
from transforms.formats.arrow import from_ipc
from transforms.storage import SourceRoots
from transforms.sum_work import count_work
from transforms.tagging.forecast import Forecast
from transforms.tagging.outcomes.prior import PriorOutcomes
from transforms.tagging.planning import BucketPlan, plan_bucket
from transforms.telemetry.counters import PLAN_ACTIONS, PLAN_CAUSES, PLAN_CORE, PLAN_KEPT_EMBEDDING, PLAN_UNMEASURED
from transforms.telemetry.cpu import CoreTime
from transforms.telemetry.kept_work import note_kept_work
from transforms.telemetry.work import Work, WorkTotals


class Plan(NamedTuple):
    """Output of `PlanBuckets`.

    Attributes:
      chunks: the `Chunk`s to extract.
      problems: repeated ids, and tracks to be read that are outside of the roots.
      work: counts of what the run does with the tracks of each bucket, and why.
    """

    chunks: beam.PCollection[Chunk]
    problems: beam.PCollection[Problem]
    work: beam.PCollection[Work]


@dataclasses.dataclass(frozen=True)
class _Settings:
    known: PriorOutcomes
    roots: SourceRoots
    chunk_tracks: int


class PlanBuckets(beam.PTransform[beam.PCollection[tuple[int, bytes]], Plan]):
    """Takes (bucket, Arrow IPC of its catalog rows sorted by track_id), returns a `Plan`."""

    def __init__(self, known: PriorOutcomes, roots: SourceRoots, chunk_tracks: int = CHUNK_TRACKS) -> None:
        super().__init__()
        self._settings = _Settings(known, roots, chunk_tracks)

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, rows: beam.PCollection[tuple[int, bytes]]) -> Plan:
        """Plans each bucket and spreads the chunks over the workers."""
        plan = beam.FlatMap(_plan, self._settings).with_outputs("problems", "work", main="chunks")
        planned = rows | "PlanBucket" >> plan
        return Plan(planned.chunks | "SpreadChunks" >> beam.Reshuffle(), planned.problems, planned.work)


def forecast_of(work: WorkTotals) -> Forecast:
    """The counts of a whole catalog, from the work of all its buckets."""
    found = Forecast.of_counts(
        {cause: work.total(measure) for cause, measure in PLAN_CAUSES.items()},
        {action: work.total(measure) for action, measure in PLAN_ACTIONS.items()},
    )
    found.kept_embedding, found.unmeasured = work.total(PLAN_KEPT_EMBEDDING), work.total(PLAN_UNMEASURED)
    return found


def planning_work(forecast: Forecast, microseconds: int) -> Work:
    """The counts of a bucket, and the processor time of its plan, as counters."""
    work = Work()
    work.add_all({measure: forecast.causes[cause] for cause, measure in PLAN_CAUSES.items()})
    work.add_all({measure: forecast.actions[action] for action, measure in PLAN_ACTIONS.items()})
    work.add(PLAN_KEPT_EMBEDDING, forecast.kept_embedding)
    work.add(PLAN_UNMEASURED, forecast.unmeasured)
    work.add(PLAN_CORE, microseconds)
    return work


def _plan(item: tuple[int, bytes], settings: _Settings) -> Iterator[Any]:
    bucket, data = item
    rows = from_ipc(data)
    problems = repeated_ids(rows)
    with CoreTime() as core:
        plan = (
            BucketPlan([], Forecast()) if problems else plan_bucket(settings.known, bucket, rows, settings.chunk_tracks)
        )
    planned = [source.track_id for chunk in plan.chunks for source in chunk.tracks]
    if plan.forecast.actions["reuse"]:
        note_kept_work()
    SETTLED.add(rows.num_rows - len(planned))
    problems += refused_sources(rows, planned, settings.roots)
    yield from (beam.pvalue.TaggedOutput("problems", problem) for problem in problems)
    yield from plan.chunks
    yield count_work(planning_work(plan.forecast, core.microseconds))
