"""Runs `train` and `refit` as jobs on rented GPUs; their flags become the command line of the job."""

import json

import click

from pipelines.inputs.flags import Arguments
from pipelines.jobs import refit as refit_job
from pipelines.launch import kubernetes, vertex
from pipelines.launch.gpu_job import GpuJob, check_job_places, command_words, job_name
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import UsageError, checked

_JOB = ("image", "gpu", "gpus", "machines", "machine_type", "retries", "spot", "service_account", "max_hours")
_VERTEX = ("project", "region", "tensorboard")
_KUBERNETES = ("namespace", "volume")
JOB_FLAGS = ("to", "dry_run", "job_name", *_JOB, *_VERTEX, *_KUBERNETES, "format", "safe_csv")
"""Names of the flags that define where and how the job runs."""

NAMES = ("trunk",)
"""Flags whose value may be a name instead of a place."""

TEXTS = ("precision_target", "split_column")
"""Flags whose value is text and not a place."""


def run_train(args: Arguments, beam_args: list[str]) -> Answer:
    """Submits `train` as a job, or prints the job."""
    return _submit("train", args)


def run_refit(args: Arguments, beam_args: list[str]) -> Answer:
    """Submits `refit` as a job, or prints the job."""
    refit_job.check_label_sources(args)
    return _submit("refit", args)


def _submit(command: str, args: Arguments) -> Answer:
    """Builds the job and submits it.

    Raises:
      UsageError: flags exclude each other, or the job cannot access a place.
      CommandFailed: the job is not accepted.
    """
    others = _KUBERNETES if args.to == "vertex" else _VERTEX
    if given := [flag for flag in others if getattr(args, flag) is not None]:
        raise UsageError(f"--{given[0]} does not apply to --to {args.to}")
    return _to_vertex(command, args) if args.to == "vertex" else _to_kubernetes(command, args)


def _to_vertex(command: str, args: Arguments) -> Answer:
    if missing := [f"--{flag}" for flag in ("project", "region") if getattr(args, flag) is None]:
        raise UsageError(f"missing {', '.join(missing)}: --to vertex needs them")
    place = checked(vertex.VertexPlace, **{flag: getattr(args, flag) for flag in _VERTEX})
    body = checked(vertex.custom_job, _job(command, args, None), place)
    if args.dry_run:
        return Answer(text=json.dumps(body, indent=2), document=body, is_program=True)
    name = vertex.submit(body, place)
    console = f"https://console.cloud.google.com/vertex-ai/locations/{place.region}/training/{name.rpartition('/')[2]}"
    page = f"{console}?project={place.project}"
    return Answer(text=f"{name}\n{page}", document={"job": name, "page": page})


def _to_kubernetes(command: str, args: Arguments) -> Answer:
    claim, mount = checked(kubernetes.parse_volume, args.volume) if args.volume is not None else (None, None)
    place = checked(kubernetes.KubernetesPlace, namespace=args.namespace, claim=claim, mount=mount)
    job = _job(command, args, mount)
    objects = checked(kubernetes.manifests, job, place)
    if args.dry_run:
        manifests = kubernetes.to_yaml(objects).rstrip("\n")
        return Answer(text=manifests, document={"manifests": objects}, is_program=True)
    sent = kubernetes.submit(objects)
    where = f" --namespace {place.namespace}" if place.namespace else ""
    follow = f"kubectl logs{where} --follow job/{job.name}"
    return Answer(text=f"{sent}\n{follow}", document={"job": job.name, "objects": sent.splitlines(), "follow": follow})


def _job(command: str, args: Arguments, mount: str | None) -> GpuJob:
    own = [param for param in click.get_current_context().command.params if param.name not in JOB_FLAGS]
    check_job_places(args, own, NAMES, TEXTS, mount)
    return checked(
        GpuJob,
        name=args.job_name if args.job_name is not None else job_name(command, args.output),
        words=(command, *command_words(args, own)),
        folder=f"{args.output.rstrip('/')}.job",
        **{flag: getattr(args, flag) for flag in _JOB},
    )
