"""Jobs on Dataflow: defaults of Beam's options, and checks before the launch."""

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    WorkerOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator

from pipelines.launch.flag_forms import ACCOUNT, IMAGE, MACHINE_TYPE, REGION, check_form, check_given, check_not_given

DEFAULT_MACHINE_TYPE = "n2-standard-4"
DEFAULT_MAX_WORKERS = 20


def fill_dataflow_options(options: PipelineOptions, command: str) -> None:
    """Checks the options of a Dataflow job and sets defaults for those that are not given.

    Workers use the image unchanged (`sdk_location`), so they install no packages. Staged files are written next to the
    temporary folder and not into it, because buckets often delete temporary files by age.

    Raises:
      ValueError: an option is missing, malformed, or belongs to another runner.
    """
    google, worker, setup = (options.view_as(cls) for cls in (GoogleCloudOptions, WorkerOptions, SetupOptions))
    _check(options)
    google.job_name = google.job_name or f"catalog-tagger-{command}"
    google.staging_location = google.staging_location or _sibling(google.temp_location, "staging")
    worker.machine_type = worker.machine_type or DEFAULT_MACHINE_TYPE
    worker.max_num_workers = worker.max_num_workers or max(DEFAULT_MAX_WORKERS, worker.num_workers or 0)
    if setup.sdk_location == "default":
        setup.sdk_location = "container"


def _check(options: PipelineOptions) -> None:
    google, worker = options.view_as(GoogleCloudOptions), options.view_as(WorkerOptions)
    portable, flink = options.view_as(PortableOptions), options.view_as(FlinkRunnerOptions)
    check_not_given(
        "DataflowRunner",
        job_endpoint=portable.job_endpoint,
        environment_type=portable.environment_type,
        parallelism=flink.parallelism if flink.parallelism != -1 else None,
    )
    image = worker.sdk_container_image
    check_given(
        project=google.project, region=google.region, temp_location=google.temp_location, sdk_container_image=image
    )
    check_form("--region", google.region, REGION)
    check_form("--sdk_container_image", image, IMAGE)
    if worker.machine_type is not None:
        check_form("--worker_machine_type", worker.machine_type, MACHINE_TYPE)
    if google.service_account_email is not None:
        check_form("--service_account_email", google.service_account_email, ACCOUNT)
    # Run Beam's own checks, except those that use the network; the runner runs all of them again.
    validator = PipelineOptionsValidator(options, None)
    problems = [*validator.validate_gcs_path(google, "temp_location"), *validator.validate_cloud_options(google)]
    problems += validator.validate_num_workers(worker)
    if problems:
        raise ValueError(" ".join(problems))


def _sibling(folder: str, name: str) -> str:
    """`gs://bucket/x/temp` -> `gs://bucket/x/staging`; `gs://bucket/` -> `gs://bucket/staging`."""
    bucket, _, path = folder.removeprefix("gs://").rstrip("/").partition("/")
    parent = path.rpartition("/")[0]
    return f"gs://{bucket}/{parent}/{name}" if parent else f"gs://{bucket}/{name}"
