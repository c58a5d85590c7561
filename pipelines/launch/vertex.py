"""Training jobs on Vertex AI: builds and sends a `CustomJob` request."""

import dataclasses
import os
import re
from typing import Any

import google.auth
import google.auth.exceptions
import requests
from google.auth.transport.requests import AuthorizedSession

from pipelines.launch.flag_forms import PROJECT, REGION, check_form
from pipelines.launch.gpu_job import IMAGE_PROGRAM, MACHINE_TYPES, GpuJob
from pipelines.terminal.errors import CommandFailed

ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM"
"""Environment variable with another address of the service, for private endpoints; gcloud reads it too."""

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_RETRIES = 3
"""Number of times that Vertex restarts a job, if it does; no other number can be chosen."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class VertexPlace:
    """The place where a job runs.

    Attributes:
      project: id of the project that is billed.
      region: region, such as `europe-west4`.
      tensorboard: TensorBoard instance that shows the running job: its number, or its full name.

    Raises:
      ValueError: a value does not have its form.
    """

    project: str
    region: str
    tensorboard: str | None = None

    def __post_init__(self) -> None:
        check_form("--project", self.project, PROJECT)
        check_form("--region", self.region, REGION)
        if self.tensorboard and not re.fullmatch(
            r"(projects/[^/]+/locations/[^/]+/tensorboards/)?\d+", self.tensorboard
        ):
            raise ValueError(
                f"--tensorboard={self.tensorboard}: give the instance's number, or "
                "projects/PROJECT/locations/REGION/tensorboards/NUMBER"
            )

    @property
    def parent(self) -> str:
        """Resource name of the location, under which the jobs are."""
        return f"projects/{self.project}/locations/{self.region}"


def custom_job(job: GpuJob, place: VertexPlace) -> dict[str, Any]:
    """The body of a `customJobs.create` request.

    Vertex sets AIP_CHECKPOINT_DIR and AIP_TENSORBOARD_LOG_DIR from `baseOutputDirectory`, and TF_CONFIG if there are
    several machines. The first machine is the chief, in a separate pool.

    Raises:
      ValueError: Vertex does not support a setting of the job.
    """
    if job.retries not in (0, _RETRIES):
        raise ValueError(
            f"--retries={job.retries}: Vertex restarts a job up to {_RETRIES} times or never, give {_RETRIES} or 0"
        )
    if place.tensorboard and not job.service_account:
        raise ValueError("--tensorboard needs --service-account: Vertex writes to the instance as this account")
    spec: dict[str, Any] = {
        "workerPoolSpecs": [_pool(job, 1), *([_pool(job, job.machines - 1)] if job.machines > 1 else [])],
        "scheduling": {
            "timeout": f"{job.max_hours * 3600}s",
            # Machines that train together depend on each other: if one is lost, all resume from the last checkpoint.
            "restartJobOnWorkerRestart": job.retries > 0,
            "disableRetries": job.retries == 0,
            "strategy": "SPOT" if job.spot else "STANDARD",
        },
        "baseOutputDirectory": {"outputUriPrefix": job.folder},
    }
    if job.service_account:
        spec["serviceAccount"] = job.service_account
    if place.tensorboard:
        full = "/" in place.tensorboard
        spec["tensorboard"] = place.tensorboard if full else f"{place.parent}/tensorboards/{place.tensorboard}"
    return {"displayName": job.name, "jobSpec": spec, "labels": {"app": IMAGE_PROGRAM}}


def _pool(job: GpuJob, count: int) -> dict[str, Any]:
    gpu = job.gpu.upper().replace("-", "_")
    if not re.fullmatch("[A-Z0-9_]+", gpu):
        raise ValueError(f"--gpu={job.gpu}: give a GPU type of Vertex, such as nvidia-l4")
    machine = {"machineType": job.machine_type or _machine_type(gpu, job.gpus)}
    return {
        "machineSpec": machine | ({"acceleratorType": gpu, "acceleratorCount": job.gpus} if job.gpus else {}),
        "replicaCount": str(count),  # an int64, which is a string in JSON requests
        "diskSpec": {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 200},
        "containerSpec": {"imageUri": job.image, "command": [IMAGE_PROGRAM], "args": list(job.words)},
    }


CPU_MACHINE = "n2-standard-8"
"""Machine of a job without GPUs: 8 cores, 32 GB."""


def _machine_type(gpu: str, gpus: int) -> str:
    if not gpus:
        return CPU_MACHINE
    counts = MACHINE_TYPES.get(gpu)
    if counts is None:
        raise ValueError(
            f"--gpu={gpu}: known types are {', '.join(sorted(MACHINE_TYPES))}; for another type, give --machine-type"
        )
    if gpus not in counts:
        counted = ", ".join(map(str, counts))
        raise ValueError(
            f"--gpus={gpus}: machines with {gpu} have {counted} GPUs; for another number, give --machine-type"
        )
    return counts[gpus]


def submit(body: dict[str, Any], place: VertexPlace) -> str:
    """Creates the job; returns its full name.

    The request is never retried, because a second request could create a second job.

    Raises:
      CommandFailed: there are no credentials, Vertex does not answer, or it refuses the job.
    """
    root = os.environ.get(ENDPOINT, f"https://{place.region}-aiplatform.googleapis.com").rstrip("/")
    try:
        credentials, _ = google.auth.default(scopes=[_SCOPE])
        session = AuthorizedSession(credentials)
        answer = session.post(f"{root}/v1/{place.parent}/customJobs", json=body, timeout=60)
    except google.auth.exceptions.GoogleAuthError as error:
        raise CommandFailed(f"no Google credentials ({error}): run gcloud auth application-default login") from error
    except requests.RequestException as error:
        raise CommandFailed(
            f"no answer from Vertex ({error}): check whether the job exists before you try again"
        ) from error
    if answer.status_code != 200:
        raise CommandFailed(f"Vertex refused the job: {_reason(answer)}")
    return str(answer.json()["name"])


def _reason(answer: Any) -> str:
    """Status and message of a refusal, or the beginning of the answer if it is not in Vertex's format."""
    try:
        error = answer.json()["error"]
        return f"{answer.status_code} {error.get('status', '')}: {error['message']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{answer.status_code} {answer.reason}: {answer.text[:300]}"
