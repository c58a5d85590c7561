"""The launch script: what it refuses, and that what it would run is a command line that catalog-tagger accepts."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from pipelines.cli import _parse
from pipelines.launch.gpu_job import IMAGE_PROGRAM
from pipelines.launch.kubernetes import USER

DEPLOY = Path(__file__).parents[3] / "deploy"
DATAFLOW = "dataflow tag --project music --region europe-west1 --bucket gs://beam/x --image reg/tagger:1"
FLINK = "flink prepare --job-endpoint jobs:8099"
TAG = "-- --catalog gs://m/c --model gs://m/b --table gs://m/t"
PREPARE = "-- --catalog c.csv --taxonomy t.yaml --output out"


def launch(line: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(DEPLOY / "launch.sh"), *shlex.split(line)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("line", "runner"),
    [
        (f"{DATAFLOW} --dry-run {TAG} --no-wait", "DataflowRunner"),
        (f"{DATAFLOW} --private --service-account me@music.iam --max-workers 7 --dry-run {TAG}", "DataflowRunner"),
        (f"{FLINK} --image reg/tagger:1 --dry-run {PREPARE}", "PortableRunner"),
        (f"{FLINK} --worker-pool localhost:50000 --parallelism 8 --dry-run {PREPARE}", "PortableRunner"),
    ],
)
def test_presets_are_accepted_command_lines(line: str, runner: str) -> None:
    launched = launch(line)
    assert launched.returncode == 0, launched.stderr
    program, *words = shlex.split(launched.stdout)
    assert program == "catalog-tagger"
    args, beam_args = _parse(words)
    assert args.command == words[0]
    assert f"--runner={runner}" in beam_args


def test_values_with_spaces_stay_whole() -> None:
    words = shlex.split(launch(f"{DATAFLOW} --dry-run {TAG} --catalog-root 'gs://m/two words'").stdout)
    assert "gs://m/two words" in words


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("", "engine"),
        ("spark tag", "spark"),
        ("dataflow train", "train"),
        (f"{DATAFLOW} --zone x {TAG}", "--zone"),
        (f"{DATAFLOW} --max-workers none {TAG}", "--max-workers"),
        (f"{DATAFLOW} --max-workers", "no value"),
        (f"{DATAFLOW} --job-name Tagger {TAG}", "--job-name"),
        (f"{DATAFLOW} tag {TAG}", "unexpected argument"),
        (f"{DATAFLOW} -- --catalog /data/c", "/data/c"),
        (f"{DATAFLOW} -- --table=tags", "'tags'"),
        (DATAFLOW.replace("europe-west1", "europe-west1-b"), "--region"),
        (DATAFLOW.replace("gs://beam/x", "beam"), "--bucket"),
        (DATAFLOW.replace("--project music", ""), "--project is missing"),
        (FLINK, "--image or --worker-pool"),
        (f"{FLINK} --image a --worker-pool b:1", "exclude"),
        (f"{FLINK} --image a --private", "--private"),
        ("flink tag --job-endpoint jobs --image a", "HOST:PORT"),
    ],
)
def test_refusals_name_what_is_wrong(line: str, named: str) -> None:
    refused = launch(line)
    assert refused.returncode == 2
    assert named in refused.stderr
    assert not refused.stdout


def test_help() -> None:
    shown = launch("--help")
    assert shown.returncode == 0
    assert "Usage:" in shown.stdout and not shown.stderr


@pytest.mark.parametrize(("tool", "name"), [("shellcheck", "launch.sh"), ("hadolint", "Dockerfile")])
def test_linters_find_nothing(tool: str, name: str) -> None:
    program = shutil.which(tool) or shutil.which(tool, path=str(DEPLOY.parent / ".venv" / "bin"))
    if program is None:
        pytest.skip(f"{tool} is not installed: it comes with the dev extra")
    assert subprocess.run([program, str(DEPLOY / name)], check=False).returncode == 0


def test_the_image_has_the_beam_that_is_pinned() -> None:
    constraints = (DEPLOY.parent / "constraints.txt").read_text()
    version = next(line.removeprefix("apache-beam==") for line in constraints.splitlines() if "apache-beam==" in line)
    assert f"ARG BEAM_VERSION={version}\n" in (DEPLOY / "Dockerfile").read_text()


def test_the_trainer_image_has_an_extra_that_exists_and_the_user_that_volumes_are_for() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    extras = re.findall(r'constraints.txt "\.\[([a-z,]+)\]"', text)[0].split(",")
    known = (DEPLOY.parent / "setup.py").read_text()
    assert "gpu" in extras and all(f'"{extra}": [' in known or f'"{extra}": ' in known for extra in extras)
    trainer = text.partition("AS trainer\n")[2].partition("\nFROM ")[0]
    assert f"USER {USER}" in trainer and f'ENTRYPOINT ["{IMAGE_PROGRAM}"]' in trainer
