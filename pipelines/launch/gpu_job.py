"""The parts of a training job on rented GPUs, for every service: image, command, GPUs, retries."""

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from pipelines.inputs.flags import Arguments
from pipelines.launch.flag_forms import IMAGE, check_form
from pipelines.terminal.errors import UsageError

IMAGE_PROGRAM = "catalog-tagger"
"""Program that the container starts, in place of its image's entry point."""

MACHINE_TYPES = {
    "NVIDIA_L4": {1: "g2-standard-8", 2: "g2-standard-24", 4: "g2-standard-48", 8: "g2-standard-96"},
    "NVIDIA_TESLA_T4": {1: "n1-standard-8", 2: "n1-standard-16", 4: "n1-standard-32"},
    "NVIDIA_TESLA_V100": {1: "n1-standard-8", 2: "n1-standard-16", 4: "n1-standard-32", 8: "n1-standard-64"},
    "NVIDIA_TESLA_A100": {1: "a2-highgpu-1g", 2: "a2-highgpu-2g", 4: "a2-highgpu-4g", 8: "a2-highgpu-8g"},
    "NVIDIA_A100_80GB": {1: "a2-ultragpu-1g", 2: "a2-ultragpu-2g", 4: "a2-ultragpu-4g", 8: "a2-ultragpu-8g"},
    "NVIDIA_H100_80GB": {1: "a3-highgpu-1g", 2: "a3-highgpu-2g", 4: "a3-highgpu-4g", 8: "a3-highgpu-8g"},
    "NVIDIA_H200_141GB": {8: "a3-ultragpu-8g"},
}
"""GPU type -> number of GPUs -> Google machine type with this number and enough cores for them."""

_NAME = r"[a-z]([-a-z0-9]{0,47}[a-z0-9])?"


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpuJob:
    """One training job.

    Attributes:
      name: name of the job; lower-case letters, digits and hyphens, because hosts are named after it.
      image: container image that contains `catalog-tagger`.
      words: the command line after `catalog-tagger`.
      folder: folder of checkpoints and logs unless the command line names others: `gs://` or under a volume.
      gpu: type of the GPUs, such as `nvidia-l4`.
      gpus: number of GPUs per machine; 0 for a job that needs none.
      machines: number of machines that train together; each is a worker of TF_CONFIG.
      machine_type: type of the machines; None leaves the choice to `MACHINE_TYPES` or to the scheduler.
      retries: number of restarts per failed machine; it resumes from the last checkpoint.
      spot: whether to use spot machines, which can be reclaimed at any time.
      service_account: account that the job uses to read and write.
      max_hours: hours after which the job is stopped.

    Raises:
      ValueError: a value does not have its form or is out of its range.
    """

    name: str
    image: str
    words: tuple[str, ...]
    folder: str
    gpu: str = "nvidia-l4"
    gpus: int = 1
    machines: int = 1
    machine_type: str | None = None
    retries: int = 3
    spot: bool = False
    service_account: str | None = None
    max_hours: int = 168

    def __post_init__(self) -> None:
        if not re.fullmatch(_NAME, self.name):
            raise ValueError(f"--job-name={self.name}: give at most 49 lower-case letters, digits and hyphens")
        check_form("--image", self.image, IMAGE)
        for flag, least in (("gpus", 0), ("machines", 1), ("retries", 0), ("max_hours", 1)):
            if getattr(self, flag) < least:
                raise ValueError(f"--{flag.replace('_', '-')}={getattr(self, flag)}: at least {least}")


def job_name(command: str, output: str) -> str:
    """A job's name from its command and the bundle that it writes.

    >>> job_name("train", "gs://music/bundles/Moods_7/")
    'train-moods-7'
    """
    words = re.findall(r"[a-z0-9]+", output.rstrip("/").rpartition("/")[2].lower())
    return "-".join([command, *words])[:49].rstrip("-")


def command_words(args: Arguments, params: Iterable[click.Parameter]) -> list[str]:
    """The flags that reproduce these values on a command line, without those that have their default.

    Args:
      args: the values.
      params: the flags of the command.
    """
    flags = [param for param in params if isinstance(param, click.Option) and param.expose_value]
    return [word for flag in flags for word in _flag_words(flag, getattr(args, flag.name or ""))]


def _flag_words(flag: click.Option, value: Any) -> Iterator[str]:
    name = flag.opts[0]
    if flag.is_flag:
        yield from [name] if value else []
    elif flag.multiple and flag.nargs > 1:
        yield from (word for values in value for word in (name, *map(str, values)))
    elif flag.multiple:
        yield from (f"{name}={item}" for item in value)
    elif value is not None and value != flag.default:
        yield f"{name}={value}"


def check_job_places(
    args: Arguments,
    params: Iterable[click.Parameter],
    names: Collection[str],
    texts: Collection[str],
    mount: str | None = None,
) -> None:
    """Refuses places that another machine cannot access. Every text flag without choices counts as a place.

    Args:
      args: the values.
      params: the flags of the command.
      names: flags whose value may also be a plain name, such as a trunk of the registry.
      texts: flags whose value is text and not a place.
      mount: folder at which the job mounts a volume; the job can access paths under it.

    Raises:
      UsageError: a place is a local path.
    """
    for flag in params:
        name = flag.name or ""
        if name in texts or flag.type is not click.STRING or not getattr(args, name, None):
            continue
        value = getattr(args, name)
        for place in value if isinstance(value, tuple | list) else [value]:
            named = name in names and "/" not in place and not Path(place).is_dir()
            if not named and not _seen(place, mount):
                also = _volume_advice(args, mount)
                raise UsageError(
                    f"{flag.opts[0]}={place}: the job cannot access this machine's files, give a gs:// URL{also}"
                )


def _volume_advice(args: Arguments, mount: str | None) -> str:
    """The other remedy for a local path: a mounted volume, which only Kubernetes has."""
    if args.to != "kubernetes":
        return ""
    return f", or a path under {mount}" if mount else ", or mount a volume with --volume CLAIM:/PATH"


def _seen(place: str, mount: str | None) -> bool:
    inside = mount is not None and place.startswith(mount.rstrip("/") + "/") and ".." not in place.split("/")
    return place.startswith("gs://") or inside
