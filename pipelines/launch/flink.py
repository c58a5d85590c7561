"""Jobs on Flink and other portable runners: environment of the workers, and checks before the launch."""

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    WorkerOptions,
)

from pipelines.launch.flag_forms import ADDRESS, IMAGE, check_form, check_not_given

DEFAULT_PARALLELISM = 2
_WORKERS = "--sdk_container_image=IMAGE, or --environment_type=EXTERNAL --environment_config=HOST:PORT of a worker pool"


def fill_flink_options(options: PipelineOptions, command: str, runner: str) -> None:
    """Checks the options of FlinkRunner or PortableRunner and sets defaults for those that are not given.

    An image in `--sdk_container_image`, as Dataflow takes it, becomes the Docker environment of the job.

    Raises:
      ValueError: an option is missing, malformed, or belongs to another runner.
    """
    google, worker = options.view_as(GoogleCloudOptions), options.view_as(WorkerOptions)
    portable, flink = options.view_as(PortableOptions), options.view_as(FlinkRunnerOptions)
    check_not_given(
        runner,
        region=google.region,
        service_account_email=google.service_account_email,
        worker_machine_type=worker.machine_type,
        max_num_workers=worker.max_num_workers,
        **{"no_use_public_ips" if worker.use_public_ips is False else "use_public_ips": worker.use_public_ips},
    )
    if portable.job_endpoint is not None:
        check_form("--job_endpoint", portable.job_endpoint, ADDRESS)
    elif runner == "PortableRunner" or (flink.flink_master == "[auto]" and flink.flink_job_server_jar is None):
        raise ValueError("--job_endpoint is missing: give HOST:PORT of Beam's job server")
    _fill_environment(portable, worker.sdk_container_image)
    google.job_name = google.job_name or f"catalog-tagger-{command}"
    if runner == "FlinkRunner" and flink.parallelism == -1:
        flink.parallelism = DEFAULT_PARALLELISM


def _fill_environment(portable: PortableOptions, image: str | None) -> None:
    if image is not None:
        if portable.environment_type or portable.environment_config or portable.environment_options:
            raise ValueError("--sdk_container_image and --environment_... exclude each other")
        portable.environment_type, portable.environment_config = "DOCKER", image
    elif portable.environment_type is None:
        raise ValueError(f"the environment of the workers is missing: give {_WORKERS}")
    config = portable.environment_config
    if config is not None and portable.environment_type == "EXTERNAL" and not config.startswith("{"):
        check_form("--environment_config", config, ADDRESS)
    if config is not None and portable.environment_type == "DOCKER":
        check_form("--sdk_container_image" if image else "--environment_config", config, IMAGE)
