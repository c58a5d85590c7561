"""`tag` and `prepare` become Dataflow jobs: translated whole, by the command line's own path, without a network."""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli import main
from pipelines.jobs import prepare
from pipelines.jobs.tag import graph as tag_graph
from pipelines.jobs.tag import running as tag_running
from pipelines.launch import beam as engines
from tests.support.processes import imported_by
from tests.support.world import World

IMAGE = "registry.example/catalog-tagger:0.1.0"
DATAFLOW = [
    "--no-wait",
    "--runner=DataflowRunner",
    "--dry_run=True",
    "--project=music",
    "--region=europe-west1",
    "--temp_location=gs://music-beam/temp",
    f"--sdk_container_image={IMAGE}",
    "--sdk_location=container",
    "--worker_machine_type=n2-standard-4",
    "--max_num_workers=20",
]

# Of each command the module that launches its graph, and the function that builds it.
LAUNCHING = {"tag": tag_running, "prepare": prepare}
BUILDING = {"tag": tag_graph.build, "prepare": prepare.build}


def command_line(command: str, world: World, output: Path) -> list[str]:
    if command == "tag":
        places = ["--model", str(world.bundle), "--table", str(output)]
    else:
        places = ["--taxonomy", str(world.folder / "taxonomy.yaml"), "--output", str(output)]
    return [command, "--catalog", str(world.catalog), *places]


@pytest.fixture(scope="module")
def offline() -> Iterator[pytest.MonkeyPatch]:
    """Beam looks for Google credentials for half a minute; a dry run needs none."""
    from apache_beam.internal.gcp import auth

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auth._Credentials, "_credentials_init", True)
        yield patch


@pytest.fixture(scope="module", params=["tag", "prepare"])
def translated(
    request: pytest.FixtureRequest, world: World, offline: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Any]:
    """The command and the Dataflow job that it would have submitted."""
    results: list[Any] = []

    def keep(*args: Any, **kwargs: Any) -> Any:
        results.append(run_pipeline(*args, **kwargs))
        return results[-1]

    run_pipeline = engines.run_pipeline
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LAUNCHING[request.param], "run_pipeline", keep)
        assert main(command_line(request.param, world, tmp_path_factory.mktemp("output")) + DATAFLOW) == 0
    return request.param, results[0].job


def pardos(proto: Any) -> list[Any]:
    """Payloads of all ParDo steps of a pipeline proto."""
    from apache_beam.portability.api import beam_runner_api_pb2

    payloads = []
    for transform in proto.components.transforms.values():
        if transform.spec.urn == "beam:transform:pardo:v1":
            payloads.append(beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload))
    return payloads


def test_the_steps_are_the_left_column_of_the_file(translated: tuple[str, Any]) -> None:
    command, job = translated
    proto = job.proto_pipeline
    (root,) = (proto.components.transforms[name] for name in proto.root_transform_ids)
    names = {proto.components.transforms[name].unique_name for name in root.subtransforms}
    steps = re.findall(r'"(\w+)" >>', inspect.getsource(BUILDING[command]))
    assert len(steps) > 7
    assert set(steps) <= names


def test_every_step_runs_in_our_image(translated: tuple[str, Any]) -> None:
    _, job = translated
    environments = job.proto_pipeline.components.environments.values()
    assert {environment.urn for environment in environments} == {"beam:env:docker:v1"}
    assert all(IMAGE.encode() in environment.payload for environment in environments)
    staged = b"".join(part.role_payload for environment in environments for part in environment.dependencies)
    # Beam's own note of what the launcher had installed; nothing for workers to install: the image has it all.
    assert staged.strip().endswith(b"submission_environment_dependencies.txt")
    assert sum(len(environment.dependencies) for environment in environments) <= 1


def test_it_is_a_batch_job_with_the_flags_given(translated: tuple[str, Any]) -> None:
    _, job = translated
    assert job.proto.type_.name == "JOB_TYPE_BATCH"
    options = job.options.get_all_options()
    assert options["machine_type"] == "n2-standard-4"
    assert options["max_num_workers"] == 20
    assert options["save_main_session"] is False


def test_the_graph_is_small(translated: tuple[str, Any]) -> None:
    """Dataflow refuses jobs over 10 MB: neither catalog nor bundle may be in the graph."""
    _, job = translated
    assert len(job.proto_pipeline.SerializeToString()) < 1_000_000


def test_a_worker_loads_every_step_without_the_heavy_libraries(translated: tuple[str, Any], tmp_path: Path) -> None:
    """In a fresh process, as on a worker: importing what the steps name brings in no TensorFlow and no librosa."""
    _, job = translated
    payloads = [pardo.do_fn.payload.hex() for pardo in pardos(job.proto_pipeline) if pardo.do_fn.payload]
    assert len(payloads) > 5
    (tmp_path / "payloads.json").write_text(json.dumps(payloads))
    code = (
        "import json, sys; from apache_beam.internal import pickler\n"
        "for text in json.load(open(sys.argv[1])): pickler.loads(bytes.fromhex(text))"
    )
    loaded = imported_by(code, str(tmp_path / "payloads.json"))
    assert "apache_beam" in loaded and not loaded & {"tensorflow", "librosa", "numba", "duckdb"}


def test_refused_options_are_usage_errors(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [flag for flag in DATAFLOW if not flag.startswith("--project")] + ["--project=My Project"]
    assert main(command_line("tag", world, tmp_path) + flags) == 2
    assert "Invalid Project ID (My Project)" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "named"), [("tag", "--catalog="), ("prepare", "--catalog=")])
def test_local_places_are_refused(
    command: str, named: str, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [flag for flag in DATAFLOW if "dry_run" not in flag]
    assert main(command_line(command, world, tmp_path / "output") + flags) == 2
    assert named in (error := capsys.readouterr().err) and "gs://" in error
    assert not (tmp_path / "output").exists()
