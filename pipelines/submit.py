"""Runs `train` or `refit` as a job on rented GPUs: the same flags, and where the job runs.

catalog-tagger submit train --to vertex --dataset gs://music/dataset --output gs://music/bundle --image IMAGE ...
"""

from typing import Any

import click

from pipelines.inputs.flags import Decorator, answer, answer_flags, combined
from pipelines.refit import refit_flags
from pipelines.terminal.command import Command, CommandGroup
from pipelines.train import train_flags


def _job_flags(gpus: int) -> Decorator:
    """Flags that say where and how a job runs; `gpus` is the default of --gpus."""
    return combined(
        click.option("--to", type=click.Choice(["vertex", "kubernetes"]), required=True, help="Where the job runs."),
        click.option("--dry-run", is_flag=True, help="Print the job and send nothing."),
        click.option(
            "--image", required=True, metavar="IMAGE", help="Container image: the Dockerfile's `trainer` target."
        ),
        click.option("--job-name", metavar="NAME", help="Name of the job (default: made from --output)."),
        click.option(
            "--gpu",
            default="nvidia-l4",
            show_default=True,
            metavar="TYPE",
            help="GPU type, for example nvidia-l4; on clusters other than GKE a node label LABEL=VALUE.",
        ),
        click.option(
            "--gpus", type=int, default=gpus, show_default=True, metavar="N", help="GPUs per machine; 0: none."
        ),
        click.option(
            "--machines", type=int, default=1, show_default=True, metavar="N", help="Machines that train together."
        ),
        click.option(
            "--machine-type",
            metavar="TYPE",
            help="Machine type (default: on Vertex AI one that fits the GPUs, on Kubernetes any).",
        ),
        click.option("--spot", is_flag=True, help="Use machines that may be preempted and cost less (Vertex AI, GKE)."),
        click.option(
            "--retries",
            type=int,
            default=3,
            show_default=True,
            metavar="N",
            help="Restarts after a failure, each from the last checkpoint.",
        ),
        click.option(
            "--max-hours", type=int, default=168, show_default=True, metavar="N", help="Stop the job after N hours."
        ),
        click.option("--service-account", metavar="NAME", help="Account with which the job reads and writes."),
        click.option("--project", metavar="ID", help="Vertex AI: the Google Cloud project that pays."),
        click.option("--region", metavar="REGION", help="Vertex AI: for example europe-west4."),
        click.option("--tensorboard", metavar="INSTANCE", help="Vertex AI: TensorBoard instance that shows the run."),
        click.option("--namespace", metavar="NAME", help="Kubernetes: namespace (default: kubectl's)."),
        click.option(
            "--volume", metavar="CLAIM:/PATH", help="Kubernetes: volume to mount, for paths that are not gs:// URLs."
        ),
        answer_flags,
    )


@click.group(cls=CommandGroup)
def command() -> None:
    """One subcommand per command that can run as a job."""


@command.command("train", cls=Command, help="Run `train` as a job.")
@train_flags(
    click.option("--output", required=True, metavar="BUNDLE", help="New gs:// prefix, or folder in a mounted volume.")
)
@_job_flags(gpus=1)
def submit_train(**flags: Any) -> int:
    """Builds the job and sends it."""
    from pipelines.jobs.submit import run_train

    return answer(run_train, flags)


@command.command("refit", cls=Command, help="Run `refit` as a job.")
@refit_flags
@_job_flags(gpus=0)
def submit_refit(**flags: Any) -> int:
    """Builds the job and sends it."""
    from pipelines.jobs.submit import run_refit

    return answer(run_refit, flags)
