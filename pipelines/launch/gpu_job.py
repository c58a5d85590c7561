"""What a training job on rented GPUs is made of, whoever runs it: image, command, GPUs, retries."""

import argparse
import dataclasses
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from pipelines.launch.flag_forms import IMAGE, check_form
from pipelines.terminal.errors import UsageError

IMAGE_PROGRAM = "catalog-tagger"
"""What the container starts, whatever its image's entry point is."""

MACHINE_TYPES = {
    "NVIDIA_L4": {1: "g2-standard-8", 2: "g2-standard-24", 4: "g2-standard-48", 8: "g2-standard-96"},
    "NVIDIA_TESLA_T4": {1: "n1-standard-8", 2: "n1-standard-16", 4: "n1-standard-32"},
    "NVIDIA_TESLA_V100": {1: "n1-standard-8", 2: "n1-standard-16", 4: "n1-standard-32", 8: "n1-standard-64"},
    "NVIDIA_TESLA_A100": {1: "a2-highgpu-1g", 2: "a2-highgpu-2g", 4: "a2-highgpu-4g", 8: "a2-highgpu-8g"},
    "NVIDIA_A100_80GB": {1: "a2-ultragpu-1g", 2: "a2-ultragpu-2g", 4: "a2-ultragpu-4g", 8: "a2-ultragpu-8g"},
    "NVIDIA_H100_80GB": {1: "a3-highgpu-1g", 2: "a3-highgpu-2g", 4: "a3-highgpu-4g", 8: "a3-highgpu-8g"},
    "NVIDIA_H200_141GB": {8: "a3-ultragpu-8g"},
}
"""GPU type -> GPUs -> machine of Google's that has so many and the cores to feed them."""

_NAME = r"[a-z]([-a-z0-9]{0,47}[a-z0-9])?"


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpuJob:
    """One training job, checked.

    Attributes:
      name: of the job; letters, digits and hyphens, since hosts are named after it.
      image: container image that holds `catalog-tagger`.
      words: the command line after `catalog-tagger`.
      folder: where checkpoints and logs go unless the command line says otherwise: `gs://` or under a volume.
      gpu: type of the GPUs, such as `nvidia-l4`.
      gpus: of each machine.
      machines: that train together; each is a worker of TF_CONFIG.
      machine_type: None leaves the choice to a table or to the scheduler.
      retries: how often a machine that failed is started again; it goes on from the last checkpoint.
      spot: machines that may be taken away at any moment.
      service_account: in whose name the job reads and writes.
      max_hours: after so long the job is stopped.
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
            raise ValueError(f"--job-name={self.name}: lower-case letters, digits and hyphens, at most 49")
        check_form("--image", self.image, IMAGE)
        for flag, least in (("gpus", 1), ("machines", 1), ("retries", 0), ("max_hours", 1)):
            if getattr(self, flag) < least:
                raise ValueError(f"--{flag.replace('_', '-')}={getattr(self, flag)}: at least {least}")


def job_name(output: str) -> str:
    """A job's name from the bundle that it writes.

    >>> job_name("gs://music/bundles/Moods_7/")
    'train-moods-7'
    """
    words = re.findall(r"[a-z0-9]+", output.rstrip("/").rpartition("/")[2].lower())
    return "-".join(["train", *words])[:49].rstrip("-")


def command_words(args: argparse.Namespace, parser: argparse.ArgumentParser, left_out: Collection[str]) -> list[str]:
    """The flags that give a parser the same options again; those that have their default are not written.

    Args:
      args: what the parser made of some command line.
      parser: that parser; it has flags only.
      left_out: destinations that the other command line does not get.
    """
    return [
        word
        for action in parser._actions
        if action.dest not in left_out and action.dest != "help" and getattr(args, action.dest) != action.default
        for word in _flag_words(action, getattr(args, action.dest))
    ]


def _flag_words(action: argparse.Action, value: object) -> Iterator[str]:
    if action.nargs == 0:  # a switch; one of two names where it has a negative
        yield (
            action.option_strings[-1] if value is False and len(action.option_strings) > 1 else action.option_strings[0]
        )
        return
    flag = action.option_strings[-1]
    if isinstance(value, list) and action.nargs is not None:
        yield from (flag, *map(str, value))
    elif isinstance(value, list):
        yield from (f"{flag}={item}" for item in value)
    else:
        yield f"{flag}={value}"


def check_job_places(
    args: argparse.Namespace, parser: argparse.ArgumentParser, names: Collection[str], left_out: Collection[str],
    mount: str | None = None,
) -> None:  # fmt: skip
    """Refuses what a machine elsewhere cannot see. Every text value without choices is taken for a place.

    Args:
      args: what the parser made of the command line.
      parser: that parser.
      names: destinations that may also hold a plain name, such as a trunk of the registry.
      left_out: destinations that are not looked at.
      mount: folder at which the job mounts a volume: what lies in it can be seen.

    Raises:
      UsageError: a local path.
    """
    for action in parser._actions:
        value = getattr(args, action.dest, None)
        if action.dest in left_out or action.type is not None or action.choices or value is None:
            continue
        for place in value if isinstance(value, list) else [value]:
            named = action.dest in names and "/" not in str(place) and not Path(place).is_dir()
            if isinstance(place, str) and not named and not _seen(place, mount):
                also = f", or a path under {mount}" if mount else ""
                raise UsageError(
                    f"{action.option_strings[-1]}={place}: the job cannot see this machine's files, "
                    f"give a gs:// URL{also}"
                )


def _seen(place: str, mount: str | None) -> bool:
    inside = mount is not None and place.startswith(mount.rstrip("/") + "/") and ".." not in place.split("/")
    return place.startswith("gs://") or inside
