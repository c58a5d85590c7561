"""Receipts: what a job leaves for whoever publishes, one file a launch; the newest one is the one to look at."""

import dataclasses
import datetime
import json
import os
import time
from typing import Any, Self

from transforms import storage
from transforms.formats.hashing import digest, json_bytes

FOLDER = "launches"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of one launch.

    Attributes:
      run_id: the finished run; None where the catalog has problems.
      counts: this launch's counts: what it decoded, and what it found done.
      problem_count: how many problems the catalog has.
      problems: the first of them.
    """

    run_id: str | None
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    problem_count: int = 0
    problems: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The receipt that `write` wrote."""
        return cls(**{**obj, "problems": tuple(obj["problems"])})


def new_path() -> str:
    """Where a launch's receipt goes, relative to the table root; names are in order of time."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{FOLDER}/{now:%Y%m%dT%H%M%S.%fZ}-{digest(str(time.time_ns()), str(os.getpid()))[:8]}.json"


def write(table: str, path: str, receipt: Receipt) -> None:
    """Writes a launch's receipt, or replaces it where the job's last step is tried again."""
    storage.write_bytes(storage.join(table, path), json_bytes(dataclasses.asdict(receipt)))


def read(table: str, path: str) -> Receipt:
    """The receipt of one launch.

    Raises:
      storage.NotFound: the job has not ended, or its run is published.
    """
    return Receipt.from_json(json.loads(storage.read_bytes(storage.join(table, path))))


def newest(table: str) -> Receipt | None:
    """The receipt of the launch that began last, of those that have ended and are not published."""
    paths = _paths(table)
    return read(table, paths[-1]) if paths else None


def forget(table: str, path: str) -> None:
    """Removes one receipt."""
    storage.delete(storage.join(table, path))


def forget_run(table: str, run_id: str) -> None:
    """Removes the receipts of a published run, and those of all launches before it."""
    paths = _paths(table)
    own = [path for path in paths if read(table, path).run_id == run_id]
    for path in paths if own else ():
        if path <= own[-1]:
            forget(table, path)


def _paths(table: str) -> list[str]:
    names = [file.url.rpartition("/")[2] for file in storage.list_folder(storage.join(table, FOLDER))]
    return [f"{FOLDER}/{name}" for name in sorted(names) if name.endswith(".json")]
