"""How the local runner is started."""

import apache_beam as beam
import pytest
from apache_beam.runners.worker.data_plane import TimeBasedBufferingClosableOutputStream

from pipelines.launch.beam import new_pipeline, parse_beam_args, run_pipeline


@pytest.fixture
def flushers(monkeypatch):
    """Streams whose output a second thread flushes while the first one writes."""
    started = []
    monkeypatch.setattr(TimeBasedBufferingClosableOutputStream, "_schedule_periodic_flush", started.append)
    return started


def test_no_second_thread_flushes_a_worker_while_it_writes(flushers):
    root = new_pipeline(parse_beam_args(["--direct_num_workers=2"], "tag"))
    _ = root | beam.Create([("a", 1), ("b", 2)]) | beam.GroupByKey() | beam.Map(len)
    run_pipeline(root)
    assert flushers == []
