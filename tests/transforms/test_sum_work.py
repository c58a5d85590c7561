"""Work reaches the manifest and the engine's counters: the same numbers from one declaration."""

import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from transforms.sum_work import SumWork, count_work
from transforms.telemetry.counters import EMBED_TRACKS, READ_MS
from transforms.telemetry.work import Work


def _count(value: int):
    work = Work()
    work.add_all({READ_MS: value, EMBED_TRACKS: 2})
    yield value
    yield count_work(work)


def _measured(values: list[int]) -> beam.Pipeline:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    counted = pipeline | beam.Create(values) | beam.FlatMap(_count).with_outputs("work", main="values")
    spread = {"count": len(values), "sum": sum(values), "min": min(values, default=0), "max": max(values, default=0)}
    expected = {
        "core_seconds": {},
        "counters": {"embed": {"tracks": 2 * len(values)}} if values else {},
        "distributions": {"extract": {"read_ms": spread}} if values else {},
    }
    total = (counted.work,) | SumWork() | beam.Map(lambda total: total.to_json())
    assert_that(total, equal_to([expected]))
    return pipeline


def test_sums_and_the_engine_s_counters_agree() -> None:
    metrics = _measured([7, 3, 5]).run().metrics().query()
    counters = {c.key.metric.name: c.committed for c in metrics["counters"] if c.key.metric.namespace == "embed"}
    (spread,) = (d.committed for d in metrics["distributions"] if d.key.metric.namespace == "extract")
    assert counters == {"tracks": 6}
    assert (spread.count, spread.sum, spread.min, spread.max) == (3, 15, 3, 7)


def test_a_job_without_work_has_empty_sums() -> None:
    _measured([]).run()
