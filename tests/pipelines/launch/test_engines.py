"""How the local runner is started."""

import urllib.request

import apache_beam as beam
import pytest
from apache_beam.runners.worker.data_plane import TimeBasedBufferingClosableOutputStream

from pipelines.launch.beam import new_pipeline, parse_beam_args, run_pipeline
from tests.support.world import make_world, tag


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


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("direct"), 5)


@pytest.fixture(scope="module")
def by_default(world, tmp_path_factory):
    """Content hash of the table that a run without Beam's flags publishes."""
    return tag(world, tmp_path_factory.mktemp("default") / "table").run.content_hash


@pytest.mark.parametrize(
    "flags",
    [
        "--runner=DirectRunner",
        *(
            pytest.param(flags, marks=pytest.mark.long)
            for flags in (
                "--runner=DirectRunner --direct_num_workers=1",
                "--runner=direct --direct_running_mode=in_memory",
                "--runner=DirectRunner --direct_running_mode=multi_processing --direct_num_workers=2",
            )
        ),
    ],
)
def test_the_direct_runner_publishes_the_same_rows_without_a_download(flags, world, by_default, tmp_path, monkeypatch):
    def refuse(url, *_, **__):
        raise AssertionError(f"download of {url}")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert tag(world, tmp_path / "table", *flags.split()).run.content_hash == by_default
