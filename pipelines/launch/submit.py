"""`train --submit`: the same options, run as a job on rented GPUs."""

import argparse
import json
import sys
from collections.abc import Mapping

from pipelines.launch.gpu_job import GpuJob, check_job_places, command_words, job_name
from pipelines.terminal.errors import UsageError, checked

_JOB = ("image", "gpu", "gpus", "machines", "machine_type", "retries", "spot", "service_account", "max_hours")
_VERTEX = ("project", "region", "tensorboard")
_KUBERNETES = ("namespace", "volume")
FLAGS = ("submit", "dry_run", "job_name", *_JOB, *_VERTEX, *_KUBERNETES)
"""Destinations of the flags below; all are None where they are not given."""

REPEATED_PLACES = ("trunk",)
"""Flags of `train` that may hold the name of something instead of a place."""

WORDS = ("precision_target", "split_column")
"""Flags of `train` that hold text and no place."""

PLACES = {"output": "AIP_MODEL_DIR", "checkpoints": "AIP_CHECKPOINT_DIR", "logs": "AIP_TENSORBOARD_LOG_DIR"}
"""Flags of `train`, and the variables of Vertex's that stand in for them inside a job."""


def add_submit_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that turn a local run into a job."""
    group = parser.add_argument_group("GPU jobs")
    add = group.add_argument
    add("--submit", choices=("vertex", "kubernetes"), help="run as a job there instead of here")
    add("--dry-run", action="store_true", default=None, help="with --submit: print the job, send nothing")
    add("--image", help="container image, the Dockerfile's `trainer` target")
    add("--job-name", metavar="NAME", help="(default: train- and the last part of --output)")
    add("--gpu", metavar="TYPE", help="such as nvidia-l4, the default; on other clusters than GKE a node's LABEL=VALUE")
    add("--gpus", type=int, metavar="N", help="GPUs of a machine (default 1)")
    add("--machines", type=int, metavar="N", help="machines that train together (default 1)")
    add("--machine-type", metavar="TYPE", help="(default: Vertex: one that fits the GPUs; Kubernetes: any)")
    add(
        "--spot",
        action="store_true",
        default=None,
        help="machines that may be taken away, for less money (Vertex, GKE)",
    )
    add("--retries", type=int, metavar="N", help="starts after a failure, from the last checkpoint (default 3)")
    add("--max-hours", type=int, metavar="N", help="stop the job after so long (default 168)")
    add("--service-account", metavar="NAME", help="in whose name the job reads and writes")
    add("--project", help="Vertex: project that pays")
    add("--region", help="Vertex: such as europe-west4")
    add("--tensorboard", metavar="INSTANCE", help="Vertex: TensorBoard instance that shows the run while it lasts")
    add("--namespace", help="Kubernetes: (default: kubectl's own)")
    add("--volume", metavar="CLAIM:/PATH", help="Kubernetes: volume to mount, for paths that are not gs://")


def check_local(args: argparse.Namespace) -> None:
    """Refuses flags of jobs where none is asked for.

    Raises:
      UsageError: there is one.
    """
    if given := [flag for flag in FLAGS if getattr(args, flag) is not None]:
        raise UsageError(f"--{given[0].replace('_', '-')} is for jobs: say --submit vertex or --submit kubernetes")


def submit_training(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Builds the job that these options ask for and sends it, or prints it; returns the exit code.

    Raises:
      UsageError: options that do not fit together, or places that a job cannot see.
      CommandFailed: the job is not taken.
    """
    others = _KUBERNETES if args.submit == "vertex" else _VERTEX
    if given := [flag for flag in others if getattr(args, flag) is not None]:
        raise UsageError(f"--{given[0]} is no option of --submit {args.submit}")
    return _vertex(args, parser) if args.submit == "vertex" else _kubernetes(args, parser)


def _vertex(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from pipelines.launch import vertex as vertex_jobs

    if missing := [f"--{flag}" for flag in ("project", "region") if getattr(args, flag) is None]:
        raise UsageError(f"missing {', '.join(missing)}: --submit vertex needs them")
    place = checked(vertex_jobs.VertexPlace, **{flag: getattr(args, flag) for flag in _VERTEX})
    body = checked(vertex_jobs.custom_job, _job(args, parser, None), place)
    if args.dry_run:
        print(json.dumps(body, indent=2))
        return 0
    name = vertex_jobs.submit(body, place)
    console = f"https://console.cloud.google.com/vertex-ai/locations/{place.region}/training/{name.rpartition('/')[2]}"
    print(f"{name}\n{console}?project={place.project}")
    return 0


def _kubernetes(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from pipelines.launch import kubernetes as kubernetes_jobs

    claim, mount = checked(kubernetes_jobs.parse_volume, args.volume) if args.volume is not None else (None, None)
    place = checked(kubernetes_jobs.KubernetesPlace, namespace=args.namespace, claim=claim, mount=mount)
    job = _job(args, parser, mount)
    objects = checked(kubernetes_jobs.manifests, job, place)
    if args.dry_run:
        print(kubernetes_jobs.to_yaml(objects), end="")
        return 0
    print(kubernetes_jobs.submit(objects))
    where = f" --namespace {place.namespace}" if place.namespace else ""
    print(f"kubectl logs{where} --follow job/{job.name}", file=sys.stderr)
    return 0


def _job(args: argparse.Namespace, parser: argparse.ArgumentParser, mount: str | None) -> GpuJob:
    if args.image is None:
        raise UsageError("missing --image: the container image that the job runs")
    if args.output is None:
        raise UsageError("missing --output")
    check_job_places(args, parser, REPEATED_PLACES, (*FLAGS, *WORDS), mount)
    chosen = {flag: getattr(args, flag) for flag in _JOB if getattr(args, flag) is not None}
    return checked(
        GpuJob,
        name=args.job_name if args.job_name is not None else job_name(args.output),
        words=("train", *command_words(args, parser, FLAGS)),
        folder=f"{args.output.rstrip('/')}.job",
        **chosen,
    )


def with_places(args: argparse.Namespace, environ: Mapping[str, str]) -> argparse.Namespace:
    """The options with the places that Vertex names, where flags name none.

    Raises:
      UsageError: nobody says where the bundle goes.
    """
    found = {
        flag: environ[variable].rstrip("/")
        for flag, variable in PLACES.items()
        if getattr(args, flag) is None and environ.get(variable)
    }
    chosen = argparse.Namespace(**{**vars(args), **found})
    if chosen.output is None:
        raise UsageError("missing --output")
    return chosen
