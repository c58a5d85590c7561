"""Jobs on Dataflow and Flink: which options they get, and which command lines are refused before anything is read."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from pipelines.cli import main, program
from pipelines.launch.beam import LOCAL, is_dry_run, is_local, parse_beam_args
from pipelines.launch.runner_names import check_flags_mean_something
from pipelines.terminal.command import beam_flags
from tests.support.world import World

ROOT = Path(__file__).parents[3]
TAG = "tag --catalog gs://m/c --model gs://m/b --table gs://m/t"
PREPARE = "prepare --catalog c.csv --taxonomy t.yaml --output out"
DATAFLOW = (
    "--runner=DataflowRunner --project=music --region=europe-west1 --temp_location=gs://beam/x/temp "
    "--sdk_container_image=reg/tagger:1"
)
FLINK = "--runner=FlinkRunner --job_endpoint=jobs:8099"
POOL = "--environment_type=EXTERNAL --environment_config=localhost:50000"


def effective(line: str) -> dict[str, Any]:
    """The options that a job of this command line gets, but for those with Beam's own default."""
    context = parsed(line)
    return parse_beam_args(context.args, line.split()[0]).get_all_options(drop_default=True)


def parsed(line: str) -> click.Context:
    """The command of a command line with its own flags; `args` are left for Beam."""
    name, *words = shlex.split(line)
    command = program.get_command(click.Context(program), name)
    assert command is not None
    return command.make_context(name, words)


IN_DATAFLOW = {
    "runner": "DataflowRunner",
    "project": "music",
    "region": "europe-west1",
    "temp_location": "gs://beam/x/temp",
    "staging_location": "gs://beam/x/staging",
    "sdk_container_image": "reg/tagger:1",
    "sdk_location": "container",
    "machine_type": "n2-standard-4",
    "max_num_workers": 20,
    "job_name": "catalog-tagger-tag",
    "save_main_session": False,
}
IN_FLINK = {
    "runner": "FlinkRunner",
    "job_endpoint": "jobs:8099",
    "parallelism": 2,
    "job_name": "catalog-tagger-prepare",
    "save_main_session": False,
}
IN_DOCKER = {"environment_type": "DOCKER", "environment_config": "reg/tagger:1", "sdk_container_image": "reg/tagger:1"}
IN_POOL = {"environment_type": "EXTERNAL", "environment_config": "localhost:50000"}


@pytest.mark.parametrize(
    ("line", "options"),
    [
        (f"{TAG} --no-wait {DATAFLOW}", IN_DATAFLOW),
        (
            f"{TAG} {DATAFLOW} --no_use_public_ips --service_account_email=me@music.iam --max_num_workers=7",
            {**IN_DATAFLOW, "use_public_ips": False, "service_account_email": "me@music.iam", "max_num_workers": 7},
        ),
        (
            f"{TAG} {DATAFLOW} --machine_type=c3-highcpu-8 --job_name=night --staging_location=gs://other/s",
            {
                **IN_DATAFLOW,
                "machine_type": "c3-highcpu-8",
                "job_name": "night",
                "staging_location": "gs://other/s",
            },
        ),
        (
            f"{TAG} {DATAFLOW} --temp_location=gs://beam/",
            {**IN_DATAFLOW, "temp_location": "gs://beam/", "staging_location": "gs://beam/staging"},
        ),
        (f"{PREPARE} {FLINK} --sdk_container_image=reg/tagger:1", {**IN_FLINK, **IN_DOCKER}),
        (f"{PREPARE} {FLINK} {POOL} --parallelism=8", {**IN_FLINK, **IN_POOL, "parallelism": 8}),
        (
            f"{PREPARE} --runner=PortableRunner --job_endpoint=jobs:8099 {POOL} --parallelism=8 --job_name=night",
            {**IN_FLINK, **IN_POOL, "runner": "PortableRunner", "parallelism": 8, "job_name": "night"},
        ),
    ],
)
def test_a_job_gets_what_is_not_given(line: str, options: dict[str, Any]) -> None:
    assert effective(line) == options


@pytest.mark.parametrize("page", ["deploy/README.md", "docs/guides/nightly-runs.md"])
def test_documented_jobs_are_accepted_command_lines(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ").replace("REGISTRY", "registry")
    lines = re.findall(r"^catalog-tagger (.*--runner=.*)$", text, re.M)
    assert lines
    for line in lines:
        assert effective(line)["job_name"] == f"catalog-tagger-{line.split()[0]}"


def test_values_with_spaces_stay_whole() -> None:
    context = parsed(f"{TAG} {DATAFLOW} --catalog-root 'gs://m/two words'")
    assert context.params["catalog_root"] == "gs://m/two words"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("", "COMMAND"),
        (f"{TAG} --runner=Sparkle", "Sparkle"),
        (f"train --dataset d --output o {DATAFLOW}", "--runner"),
        (f"{TAG} {DATAFLOW} --zones=x", "--zones"),
        (f"{TAG} {DATAFLOW} --max_num_workers=none", "--max_num_workers"),
        (f"{TAG} {DATAFLOW} --max_num_workers=0", "max_num_workers"),
        (f"{TAG} {DATAFLOW} --max_num_workers", "expected one argument"),
        (f"{TAG} {DATAFLOW} --job_name=Tagger", "job_name (Tagger)"),
        (f"{TAG} {DATAFLOW} --worker_machine_type=big", "--worker_machine_type=big"),
        (f"{TAG} {DATAFLOW} --service_account_email=me", "--service_account_email=me"),
        (f"{TAG} tag {DATAFLOW}", "unexpected argument"),
        (f"tag --catalog /data/c --model gs://m/b --table gs://m/t {DATAFLOW}", "/data/c"),
        (f"tag --catalog gs://m/c --model gs://m/b --table=tags {DATAFLOW}", "=tags"),
        (f"{TAG} --catalog-root=audio {DATAFLOW}", "--catalog-root=audio"),
        (f"{PREPARE} {DATAFLOW}", "--catalog=c.csv"),
        (f"{TAG} {DATAFLOW.replace('europe-west1', 'europe-west1-b')}", "--region"),
        (f"{TAG} {DATAFLOW.replace('gs://beam/x/temp', 'beam')}", "temp_location"),
        (f"{TAG} {DATAFLOW.replace('reg/tagger:1', 'Reg/Tagger')}", "--sdk_container_image=Reg/Tagger"),
        (f"{TAG} {DATAFLOW.replace('--project=music', '')}", "--project is missing"),
        (f"{TAG} --runner=DataflowRunner", "--project, --region, --temp_location, --sdk_container_image are missing"),
        (f"{TAG} {DATAFLOW} --parallelism=4", "--parallelism is not an option of DataflowRunner"),
        (f"{TAG} {FLINK}", "--sdk_container_image"),
        (f"{TAG} --runner=FlinkRunner {POOL}", "--job_endpoint is missing"),
        (f"{TAG} --runner=PortableRunner {POOL}", "--job_endpoint is missing"),
        (f"{TAG} {FLINK} --sdk_container_image=a {POOL}", "exclude"),
        (f"{TAG} {FLINK} --sdk_container_image=A", "--sdk_container_image=A"),
        (f"{TAG} {FLINK} --sdk_container_image=a --no_use_public_ips", "--no_use_public_ips"),
        (f"{TAG} {FLINK} --environment_type=EXTERNAL --environment_config=pool", "--environment_config=pool"),
        (f"{TAG} --runner=FlinkRunner --job_endpoint=jobs {POOL}", "HOST:PORT"),
        (f"{TAG} --dry_run", "--dry_run=True"),
        (f"{TAG} --dry_run --runner=DirectRunner", "--dry_run=True"),
        (f"{TAG} --dry_run=maybe", "--dry_run=True"),
        (f"{TAG} --direct_num_workers=-1", "--direct_num_workers=-1"),
        (f"{TAG} --direct_running_mode=in_memory --direct_num_workers=2", "in_memory"),
        (f"{TAG} --direct_running_mode=fast", "--direct_running_mode"),
        (f"{TAG} --runner=PrismRunner", "--prism_location is missing"),
        (f"{TAG} --runner=DirectRunner --runner=Sparkle", "Sparkle: unknown; use DirectRunner"),
        (f"{TAG} --runner=daskrunner", "rows missing: use DirectRunner"),
        (f"{TAG} --runner=interactive", "use DirectRunner"),
        (f"{TAG} --runner=SwitchingDirectRunner", "use DirectRunner"),
        (f"{TAG} --runner=os.path.Own", "Own"),
    ],
)
def test_refusals_name_what_is_wrong(line: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(line)) == 2
    printed = capsys.readouterr()
    assert named in printed.err
    assert not printed.out


@pytest.mark.parametrize("line", [f"{DATAFLOW} --job_name=Tagger", f"{FLINK} --parallelism=x", "--runner=Sparkle"])
def test_refusals_have_one_line(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(f"{TAG} {line}")) == 2
    assert capsys.readouterr().err.count("\n") == 1


FLAGS = sorted(set(beam_flags()) - {"--runner"})
LOCAL_FLAGS = {"--direct_num_workers", "--direct_running_mode", "--dry_run", "--pickle_library", "--auto_unique_labels"}


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_means_something_or_is_refused_by_name(flag: str) -> None:
    """A flag of the local runner is of no engine; a flag that every runner refuses is none of a batch job's."""
    refused = {runner for runner in RUNNERS if refusal(flag, runner)}
    if flag.startswith("--direct_"):
        assert refused >= set(RUNNERS) - {"DirectRunner"}
    if flag in LOCAL_FLAGS:
        assert "DirectRunner" not in refused
    owner = re.match(
        "--(project|region|temp_location|flink|spark|prism|job_endpoint|environment|worker|s3_|hdfs_)", flag
    )
    assert not owner or "DirectRunner" in refused


RUNNERS = ("DirectRunner", "DataflowRunner", "FlinkRunner", "PortableRunner", "SparkRunner", "PrismRunner")


def refusal(flag: str, runner: str) -> str | None:
    try:
        check_flags_mean_something([f"--runner={runner}", f"{flag}=x"], runner)
    except ValueError as error:
        assert str(error).startswith(f"{flag} is not an option of {runner}: ")
        return str(error)
    return None


@pytest.mark.parametrize("name", ["DirectRunner", "direct", "DIRECTRUNNER", "FnApiRunner", LOCAL])
def test_the_local_runner_has_several_names_and_none_of_them_downloads(name: str) -> None:
    assert (
        parse_beam_args([f"--runner={name}"], "tag").get_all_options() == parse_beam_args([], "tag").get_all_options()
    )
    assert is_local(parse_beam_args(["--runner", name, "--direct_running_mode=multi_processing"], "tag"))


@pytest.mark.parametrize("flag", ["--dry-run", "--plan", "--dryrun", "--noop", "--dry", "--what-if", "--preview"])
def test_near_misses_of_a_dry_run_name_what_exists(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    exists = {PREPARE: "--dry_run=True .*starts nothing", TAG: "--plan shows .*changes nothing"}
    for line, words in exists.items():
        if line == PREPARE or flag != "--plan":
            assert main([*shlex.split(line), flag]) == 2
            assert re.fullmatch(f"catalog-tagger: unknown flag {flag}: {words}\n", capsys.readouterr().err)


def test_a_dry_run_that_is_false_is_none() -> None:
    for value, dry in (("False", False), ("false", False), ("True", True), ("true", True)):
        assert is_dry_run(parse_beam_args([f"--dry_run={value}"], "tag")) is dry


@pytest.mark.parametrize("runner", [f"{FLINK} {POOL}", "--runner=DirectRunner"])
def test_a_dry_run_prints_the_options_and_runs_nothing(
    runner: str, world: World, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"tag --catalog {world.catalog} --model {world.bundle} --table {table} --dry_run=True {runner}"
    assert main(shlex.split(line)) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["dry_run"] is True and f"--runner={printed['runner']}" in runner
    assert not table.exists()
    assert main([*shlex.split(line), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"launched": False, "options": printed}
