"""Launches Beam jobs: Beam's flags pass through unchanged, and the default is a local runner without a download."""

import contextlib
import copy
import io
import os
from collections.abc import Iterator

import apache_beam as beam
import grpc
import yaml
from apache_beam.options.pipeline_options import (
    DebugOptions,
    DirectOptions,
    PipelineOptions,
    PrismRunnerOptions,
    SetupOptions,
    StandardOptions,
    TestOptions,
)
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.runner import PipelineResult, PipelineState, create_runner
from apache_beam.runners.worker import sdk_worker

from pipelines.launch.dataflow import fill_dataflow_options
from pipelines.launch.flink import fill_flink_options
from pipelines.launch.job_failure import engine_refused, job_failed
from pipelines.launch.job_progress import JobProgress, announce_job
from pipelines.launch.runner_names import (
    DATAFLOW,
    DIRECT,
    FLINK,
    PORTABLE,
    PRISM,
    check_flags_mean_something,
    runner_name,
)
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import CommandFailed, UsageError, checked
from pipelines.terminal.signals import raise_if_stopped
from pipelines.terminal.watchdog import ended_if_stalled
from transforms.storage import redact
from transforms.telemetry.kept_work import note_kept_work
from transforms.telemetry.phases import phase

LOCAL = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def parse_beam_args(beam_args: list[str], command: str) -> PipelineOptions:
    """Parses and checks Beam's options, and sets defaults for the runner.

    Without `--runner`, and with `--runner=DirectRunner`, the job runs on this machine, with one worker thread per core.

    Args:
      command: name of the command, such as `tag`, after which jobs are named.

    Raises:
      UsageError: an option is missing, malformed or without effect on the runner, or the runner is unknown or refused:
        it loses rows, needs a download or keeps every collection.
    """
    runner = checked(runner_name, _given(beam_args, "--runner"))
    checked(check_flags_mean_something, beam_args, runner)
    dry_run = _dry_run_given(beam_args, command)
    options = _parsed(beam_args)
    options.view_as(TestOptions).dry_run = dry_run
    if options.view_as(SetupOptions).save_main_session is None:
        # Workers can import all code. By default Beam would pickle the console script's module for Dataflow.
        options.view_as(SetupOptions).save_main_session = False
    if runner == DIRECT:
        _fill_local_options(options, beam_args)
    else:
        options.view_as(StandardOptions).runner = runner
        _fill_cluster_options(options, runner, command)
    return options


def _parsed(beam_args: list[str]) -> PipelineOptions:
    """Parses all options at once, so that a wrong value gives one line instead of Beam's usage text."""
    options = PipelineOptions(beam_args)
    with contextlib.redirect_stderr(io.StringIO()) as printed:
        try:
            options.get_all_options()
        except SystemExit as error:
            raise UsageError(printed.getvalue().strip().rpartition("error: ")[2]) from error
    return options


def _dry_run_given(beam_args: list[str], command: str) -> bool:
    """The value of `--dry_run`. For Beam it is a text, and every text but the empty one is a dry run, `False` too."""
    values = {"true": True, "false": False}
    given = _given(beam_args, "--dry_run")
    if given is None and "--dry_run" not in beam_args:
        return False
    if (text := str(given).lower()) not in values:
        plan = "; --plan shows what a run would do" if command == "tag" else ""
        raise UsageError(f"--dry_run needs a value: give --dry_run=True or --dry_run=False{plan}")
    return values[text]


def _fill_local_options(options: PipelineOptions, beam_args: list[str]) -> None:
    options.view_as(StandardOptions).runner = LOCAL
    direct = options.view_as(DirectOptions)
    if direct.direct_num_workers < 0:
        raise UsageError(f"--direct_num_workers={direct.direct_num_workers}: give 1 or more, or 0 for one per core")
    if _given(beam_args, "--direct_running_mode") is None:
        direct.direct_running_mode = "multi_threading"
    if _given(beam_args, "--direct_num_workers") is None:
        direct.direct_num_workers = 1 if direct.direct_running_mode == "in_memory" else os.cpu_count() or 1
    elif direct.direct_running_mode == "in_memory" and direct.direct_num_workers != 1:
        raise UsageError("--direct_running_mode=in_memory has one worker: leave --direct_num_workers out")


def _fill_cluster_options(options: PipelineOptions, name: str, command: str) -> None:
    try:
        runner = type(checked(create_runner, name)).__name__
    except (ImportError, AttributeError) as error:
        raise UsageError(f"--runner={name}: {error}") from error
    if runner == PRISM and options.view_as(PrismRunnerOptions).prism_location is None:
        raise UsageError("--prism_location is missing: give the program prism, which Beam would download")
    if runner == DATAFLOW:
        checked(fill_dataflow_options, options, command)
    elif runner in (FLINK, PORTABLE):
        checked(fill_flink_options, options, command, runner)


def is_dry_run(options: PipelineOptions) -> bool:
    """Whether `run_pipeline` launches nothing."""
    return bool(options.view_as(TestOptions).dry_run)


def is_local(options: PipelineOptions) -> bool:
    """Whether the job runs in this process and its children."""
    return bool(options.view_as(StandardOptions).runner == LOCAL)


def children_per_process(options: PipelineOptions) -> int:
    """Number of sandboxed child processes per worker process, so that a machine has one per core; 0 means one per core.

    Local worker processes share this machine's cores. On other runners, Beam's default is one process per core.
    """
    cores = os.cpu_count() or 1
    if is_local(options):
        direct = options.view_as(DirectOptions)
        processes = (direct.direct_num_workers or cores) if direct.direct_running_mode == "multi_processing" else 1
        return max(1, cores // processes)
    return 0 if options.view_as(DebugOptions).lookup_experiment("no_use_multiple_sdk_containers") else 1


def check_beam_places(options: PipelineOptions, **places: str | None) -> None:
    """Refuses places that Dataflow's workers cannot access; `places` are the values of flags by name.

    Raises:
      UsageError: a place is a local path, which each worker would look for on its own disk.
    """
    if "Dataflow" not in (options.view_as(StandardOptions).runner or "") or is_dry_run(options):
        return
    for name, url in places.items():
        if url is not None and not url.startswith("gs://"):
            flag = "--" + name.replace("_", "-")
            raise UsageError(f"{flag}={url}: Dataflow's workers cannot access local files, give a gs:// URL")


def new_pipeline(options: PipelineOptions) -> beam.Pipeline:
    """An empty pipeline for these options.

    Raises:
      UsageError: the runner refuses an option, such as a malformed project id.
    """
    try:
        return beam.Pipeline(options=options)
    except ValueError as error:
        raise UsageError(" ".join(str(error).split())) from error


def worker_threads(options: PipelineOptions) -> int:
    """Number of workers of a local job, threads or processes."""
    return int(options.view_as(DirectOptions).direct_num_workers or os.cpu_count() or 1)


def with_workers(options: PipelineOptions, count: int) -> PipelineOptions:
    """The options of a local job with another number of workers."""
    changed = copy.deepcopy(options)
    changed.view_as(DirectOptions).direct_num_workers = count
    return changed


def run_pipeline(root: beam.Pipeline, *, wait: bool = True) -> PipelineResult | None:
    """Runs the job; waits for its end if `wait`.

    A dry run launches nothing, but for Dataflow it translates the job.

    Raises:
      CommandFailed: the job failed; finished work is kept, so that the next run resumes.
    """
    if is_dry_run(root.options):
        return _dry_run(root)
    try:
        if is_local(root.options):
            with _local_run():
                result = root.run()
                state = result.wait_until_finish() if wait else None
        else:
            result, state = _run_on_engine(root, wait=wait)
    except grpc.RpcError as error:
        raise engine_refused(error) from error
    except (RuntimeError, OSError) as error:
        raise job_failed(error) from error
    raise_if_stopped()
    if wait and state not in (PipelineState.DONE, None):
        raise CommandFailed(f"the job ended as {state}; finished chunks are kept: run it again to resume")
    return result


def _run_on_engine(root: beam.Pipeline, *, wait: bool) -> tuple[PipelineResult, str | None]:
    runner = type(root.runner).__name__
    note_kept_work()  # the engine has the job, or workers of other machines have
    with phase(f"launching the job on {runner}"):
        result = root.run()
    announce_job(result, root.options, runner)
    if not wait:
        return result, None
    with phase(f"running the job on {runner}", further=JobProgress(result).facts):
        return result, result.wait_until_finish()


def dry_run_answer(options: PipelineOptions) -> Answer:
    """The answer of a dry run: the options of the job, which a person reads as YAML."""
    options_given = options.get_all_options(drop_default=True) | ({"runner": DIRECT} if is_local(options) else {})
    given = {name: redact(value) if isinstance(value, str) else value for name, value in options_given.items()}
    return Answer(text=yaml.safe_dump(given).rstrip("\n"), document={"launched": False, "options": given})


def _dry_run(root: beam.Pipeline) -> PipelineResult | None:
    # Dataflow's runner supports dry runs and checks the job by translating it. Other runners would run the job.
    return root.run() if type(root.runner).__name__ == "DataflowRunner" else None


@contextlib.contextmanager
def _local_run() -> Iterator[None]:
    """Keeps the local runner from printing tracebacks, prevents a race in it, and ends it if it stalls.

    Embedded workers print the traceback of every error with the function `print`, whatever the log level is. The error
    that ends the job has it too.

    Beam's embedded workers (seen in 2.77) flush their output every second from a second thread, without a lock against
    the writing thread. On a busy machine, elements arrive in fragments; their reader loses rows or fills the memory.
    With 0, only the writer flushes, between elements.
    """
    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0
    vars(sdk_worker)["print"] = lambda *values, **options: None
    with ended_if_stalled():
        yield


def _given(beam_args: list[str], flag: str) -> str | None:
    """Value of a flag on Beam's command line, the last one if there are several; None if it is not given."""
    value = None
    for i, word in enumerate(beam_args):
        if word == flag and i + 1 < len(beam_args):
            value = beam_args[i + 1]
        elif word.startswith(flag + "="):
            value = word.partition("=")[2]
    return value
