"""What the launcher says of a job on an engine, and of an engine that refuses it."""

from types import SimpleNamespace

import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.launch.job_failure import engine_refused
from pipelines.launch.job_progress import JobProgress, announce_job
from pipelines.terminal.progress import PhaseLines
from pipelines.terminal.tracebacks import keep_traceback
from transforms.telemetry.phases import listen


def entry(stage: str, name: str, attempted: int, committed: int | None = None) -> SimpleNamespace:
    metric = SimpleNamespace(namespace=stage, name=name)
    return SimpleNamespace(key=SimpleNamespace(metric=metric), attempted=attempted, committed=committed)


class Result:
    def __init__(self, *counters: SimpleNamespace, silent: bool = False) -> None:
        self.asked, self.counters, self.silent = 0, counters, silent

    @property
    def state(self) -> str:
        self.asked += 1
        if self.silent:
            raise ConnectionError
        return "RUNNING"

    def metrics(self) -> SimpleNamespace:
        if self.silent:
            raise NotImplementedError
        return SimpleNamespace(query=lambda _: {"counters": self.counters})


def test_state_and_counters_are_asked_for_at_intervals() -> None:
    counters = [entry("extract", "tracks_read", 7), entry("extract", "tracks_read", 5, 4), entry("other", "x", 9)]
    result = Result(*counters, entry("extract", "tracks_rejected", 2), entry("assemble", "tracks_tagged", 0))
    progress = JobProgress(result)
    expected = {"state of the job": "RUNNING", "extracted": 11, "rejected": 2}
    assert progress.facts() == progress.facts() == expected and result.asked == 1


def test_an_engine_that_does_not_answer_ends_nothing() -> None:
    assert JobProgress(Result(silent=True)).facts() == {}


@pytest.mark.parametrize(
    ("result", "runner", "said"),
    [
        (
            SimpleNamespace(job_id=lambda: "2026-01"),
            "DataflowRunner",
            ["job 2026-01 on DataflowRunner: https://console."],
        ),
        (SimpleNamespace(_job_id="job-7"), "FlinkRunner", ["job job-7 on FlinkRunner"]),
        (SimpleNamespace(), "FlinkRunner", []),
    ],
)
def test_the_job_is_named(result, runner, said) -> None:
    lines: list[str] = []
    listen(PhaseLines(lambda text, facts: lines.append(text)))
    announce_job(result, PipelineOptions(["--region=europe-west1", "--project=music"]), runner)
    listen(None)
    assert len(lines) == len(said) and all(line.startswith(text) for line, text in zip(lines, said, strict=True))
    assert runner != "DataflowRunner" or lines[0].endswith("/dataflow/jobs/europe-west1/2026-01?project=music")


def test_an_answer_of_another_server_is_one_sentence() -> None:
    class Refused(grpc.RpcError):
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.UNIMPLEMENTED

        def details(self) -> str:
            return "Received http2 header\nwith status: 404"

    text = str(engine_refused(Refused()))
    assert text.startswith("the job server answered UNIMPLEMENTED: Received http2 header with status: 404: correct")
    assert "RpcError: no details" in str(engine_refused(grpc.RpcError()))


def test_without_a_temporary_folder_the_place_of_a_bug_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_folder() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", no_folder)
    with pytest.raises(AttributeError) as caught:
        announce_job(Result(), None, "DataflowRunner") if JobProgress(None)._result.state else None
    told = keep_traceback(caught.value)
    assert "run it again with --debug" in told and "test_job_progress.py, line" in told
