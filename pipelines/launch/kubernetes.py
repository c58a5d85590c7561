"""Training jobs on Kubernetes: a `Job`; for several machines, an indexed `Job` with a headless `Service`."""

import dataclasses
import json
import re
import subprocess
from typing import Any

import yaml

from pipelines.launch.gpu_job import IMAGE_PROGRAM, GpuJob
from pipelines.terminal.errors import USAGE, CommandFailed

CONTAINER = "train"
PORT = 2222
"""Port on which the workers of a job communicate."""

USER = 10001
"""User id in the `trainer` image; volumes are made writable for it."""

_CPUS, _MEMORY_GIB = 6, 24
"""Requested per GPU: what a machine with 8 cores and 32 GB can give to a pod."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class KubernetesPlace:
    """The place where a job runs.

    Attributes:
      namespace: namespace of the job; None means kubectl's default.
      claim: name of a PersistentVolumeClaim that the job mounts, or None.
      mount: folder at which the claim is mounted, or None.

    Raises:
      ValueError: the namespace is malformed.
    """

    namespace: str | None = None
    claim: str | None = None
    mount: str | None = None

    def __post_init__(self) -> None:
        if self.namespace and not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", self.namespace):
            raise ValueError(f"--namespace={self.namespace}: give at most 63 lower-case letters, digits and hyphens")


def parse_volume(text: str) -> tuple[str, str]:
    """Parses `CLAIM:/PATH` into (claim, mount).

    Raises:
      ValueError: the text has another form.
    """
    match = re.fullmatch(r"([a-z0-9](?:[-.a-z0-9]*[a-z0-9])?):(/[^:]*[^:/])", text)
    if not match:
        raise ValueError(f"--volume={text}: give CLAIM:/PATH, a PersistentVolumeClaim and the folder to mount it at")
    return match[1], match[2]


def manifests(job: GpuJob, place: KubernetesPlace) -> list[dict[str, Any]]:
    """The objects to create, in order.

    A preempted pod does not count as a failure. Wrong usage (exit code 2) is not retried. Any other failure is retried
    up to `retries` times per machine, and training resumes from the last checkpoint.

    Raises:
      ValueError: spot machines are requested in a cluster that is not on GKE.
    """
    if job.spot and "=" in job.gpu:
        raise ValueError(
            "--spot selects nodes by a label of GKE: leave it out, and give a label of spot nodes as --gpu LABEL=VALUE"
        )
    metadata = {"name": job.name, "labels": {"app": IMAGE_PROGRAM}}
    if place.namespace:
        metadata["namespace"] = place.namespace
    several = {"completions": job.machines, "parallelism": job.machines, "completionMode": "Indexed"}
    batch = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            **(several if job.machines > 1 else {}),
            "backoffLimit": job.retries * job.machines,
            "activeDeadlineSeconds": job.max_hours * 3600,
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [USAGE]},
                    },
                ]
            },
            "template": {"metadata": {"labels": {"app": IMAGE_PROGRAM, "job": job.name}}, "spec": _pod(job, place)},
        },
    }
    return [_service(job, metadata), batch] if job.machines > 1 else [batch]


def _service(job: GpuJob, metadata: dict[str, Any]) -> dict[str, Any]:
    """Gives every pod a host name that the other pods can resolve, also before it is ready."""
    spec = {
        "clusterIP": "None",
        "selector": {"job": job.name},
        "publishNotReadyAddresses": True,
        "ports": [{"name": "tensorflow", "port": PORT}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _pod(job: GpuJob, place: KubernetesPlace) -> dict[str, Any]:
    volumes = [
        {"name": "shm", "emptyDir": {"medium": "Memory"}}
    ]  # NCCL uses it between GPUs; the default of 64 MB is too small
    if place.claim:
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": place.claim}})
    pod = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "runAsUser": USER, "fsGroup": USER},
        "nodeSelector": _node_selector(job),
        "tolerations": _tolerations(job),
        "containers": [_container(job, place)],
        "volumes": volumes,
    }
    if job.machines > 1:
        pod["subdomain"] = job.name
    if job.service_account:
        pod["serviceAccountName"] = job.service_account
    return pod


def _node_selector(job: GpuJob) -> dict[str, str]:
    """GKE's label of the GPU, or the label of another cluster if `gpu` is LABEL=VALUE."""
    label, equals, value = job.gpu.partition("=")
    selector = {label: value} if equals else {"cloud.google.com/gke-accelerator": job.gpu.lower().replace("_", "-")}
    if not job.gpus:
        selector = {}
    if job.machine_type:
        selector["node.kubernetes.io/instance-type"] = job.machine_type
    if job.spot:
        selector["cloud.google.com/gke-spot"] = "true"
    return selector


def _tolerations(job: GpuJob) -> list[dict[str, str]]:
    gpu = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    spot = {"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
    return [*([gpu] if job.gpus else []), *([spot] if job.spot else [])]


def _container(job: GpuJob, place: KubernetesPlace) -> dict[str, Any]:
    mounts = [{"name": "shm", "mountPath": "/dev/shm"}]
    if place.mount:
        mounts.append({"name": "data", "mountPath": place.mount})
    shares = max(job.gpus, 1)
    return {
        "name": CONTAINER,
        "image": job.image,
        "command": [IMAGE_PROGRAM],
        "args": [word.replace("$(", "$$(") for word in job.words],  # Kubernetes expands $(NAME)
        "env": _environment(job),
        "resources": {
            **({"limits": {"nvidia.com/gpu": str(job.gpus)}} if job.gpus else {}),
            "requests": {"cpu": str(_CPUS * shares), "memory": f"{_MEMORY_GIB * shares}Gi"},
        },
        "volumeMounts": mounts,
    }


def _environment(job: GpuJob) -> list[dict[str, Any]]:
    """The variables that Vertex would set: folders of checkpoints and logs, and TF_CONFIG for several machines."""
    folder = job.folder.rstrip("/")
    places = [
        {"name": "AIP_CHECKPOINT_DIR", "value": f"{folder}/checkpoints/"},
        {"name": "AIP_TENSORBOARD_LOG_DIR", "value": f"{folder}/logs/"},
    ]
    if job.machines == 1:
        return places
    workers = [f"{job.name}-{i}.{job.name}:{PORT}" for i in range(job.machines)]
    cluster = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": "INDEX"}})
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    return [
        *places,
        {"name": "TASK_INDEX", "valueFrom": {"fieldRef": {"fieldPath": index}}},
        {"name": "TF_CONFIG", "value": cluster.replace('"INDEX"', "$(TASK_INDEX)")},
    ]


def to_yaml(objects: list[dict[str, Any]]) -> str:
    """The objects as one YAML file for `kubectl create -f`."""
    return yaml.safe_dump_all(objects, sort_keys=False, width=120)


def submit(objects: list[dict[str, Any]]) -> str:
    """Creates the objects with kubectl, which knows the cluster; returns its output.

    Raises:
      CommandFailed: kubectl is missing, or refuses the job.
    """
    command = ["kubectl", "create", "--filename", "-"]
    try:
        done = subprocess.run(command, input=to_yaml(objects), capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CommandFailed("kubectl is not on PATH: install it, or print the manifest with --dry-run") from error
    if done.returncode:
        raise CommandFailed(f"kubectl refused the job: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()
