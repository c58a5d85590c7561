"""SumWork: adds up the measured work of all elements of a job, for its manifest."""

from collections.abc import Iterable

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.typehints import no_annotations

from transforms.telemetry.work import Work, WorkTotals


def count_work(work: Work) -> beam.pvalue.TaggedOutput[str, Work]:
    """Adds the work of an element to the engine's counters, and returns it as an output with the tag `work`.

    Both are needed: an engine's counters are complete only after the job, but the last step writes the manifest.
    """
    add_to_counters(work)
    return beam.pvalue.TaggedOutput("work", work)


def add_to_counters(work: Work) -> None:
    """Adds the work of an element to the engine's counters."""
    for measure, values in work.values.items():
        if measure.kind == "counter":
            Metrics.counter(measure.stage, measure.name).inc(sum(values))
        else:
            distribution = Metrics.distribution(measure.stage, measure.name)
            for value in values:
                distribution.update(value)


class SumWork(beam.PTransform[tuple[beam.PCollection[Work], ...], beam.PCollection[WorkTotals]]):
    """Takes collections of `Work`, returns one `WorkTotals`, also if there is no work."""

    @no_annotations  # Beam cannot check a tuple of collections
    def expand(self, works: tuple[beam.PCollection[Work], ...]) -> beam.PCollection[WorkTotals]:
        """Combines the sums on the workers."""
        joined = works | "JoinWork" >> beam.Flatten()
        total: beam.PCollection[WorkTotals] = joined | "AddWork" >> beam.CombineGlobally(_AddWork())
        return total


class _AddWork(beam.CombineFn):
    def create_accumulator(self) -> WorkTotals:
        return WorkTotals()

    def add_input(self, total: WorkTotals, work: Work) -> WorkTotals:
        total.add(work)
        return total

    def merge_accumulators(self, totals: Iterable[WorkTotals]) -> WorkTotals:
        merged = WorkTotals()
        for total in totals:
            merged.merge(total)
        return merged

    def extract_output(self, total: WorkTotals) -> WorkTotals:
        return total
