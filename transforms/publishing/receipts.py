"""Receipts: what a job of `tag` or `prepare` leaves for who launched it, one file a launch, by time."""

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
      run_id: the finished run of `tag`; None where the catalog has problems, and for `prepare`.
      counts: this launch's counts: what it decoded, and what it found done.
      problem_count: how many problems the catalog has.
      problems: the first of them.
      refused: why `prepare` did not finish the dataset; None where no gate failed. `tag` is refused by `publish`.
      measured: what the launch took, see `WorkTotals.to_json`.
    """

    run_id: str | None
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    problem_count: int = 0
    problems: tuple[str, ...] = ()
    refused: str | None = None
    measured: dict[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The receipt that `write` wrote; fields of later versions are ignored."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{**{name: obj[name] for name in names & obj.keys()}, "problems": tuple(obj["problems"])})

    def problem_report(self, done: str) -> str:
        """The problems as a user reads them, with what was not `done`."""
        return "\n".join([f"{self.problem_count} problems in the catalog, nothing was {done}:", *self.problems])


def new_path() -> str:
    """Where a launch's receipt goes, relative to the root of the table or dataset; names are in order of time."""
    now = datetime.datetime.now(datetime.UTC)
    return f"{FOLDER}/{now:%Y%m%dT%H%M%S.%fZ}-{digest(str(time.time_ns()), str(os.getpid()))[:8]}.json"


def write(root: str, path: str, receipt: Receipt) -> None:
    """Writes a launch's receipt, or replaces it where the job's last step is tried again."""
    storage.write_bytes(storage.join(root, path), json_bytes(dataclasses.asdict(receipt)))


def read(root: str, path: str) -> Receipt:
    """The receipt of one launch.

    Raises:
      storage.NotFound: the job has not ended, or its run is published.
    """
    return Receipt.from_json(json.loads(storage.read_bytes(storage.join(root, path))))


def newest(root: str) -> Receipt | None:
    """The receipt of the launch that began last, of those that have ended and are not published."""
    paths = _paths(root)
    return read(root, paths[-1]) if paths else None


def forget(root: str, path: str) -> None:
    """Removes one receipt."""
    storage.delete(storage.join(root, path))


def forget_run(root: str, run_id: str) -> None:
    """Removes the receipts of a published run, and those of all launches before it."""
    paths = _paths(root)
    own = [path for path in paths if read(root, path).run_id == run_id]
    for path in paths if own else ():
        if path <= own[-1]:
            forget(root, path)


def _paths(root: str) -> list[str]:
    names = [file.url.rpartition("/")[2] for file in storage.list_folder(storage.join(root, FOLDER))]
    return [f"{FOLDER}/{name}" for name in sorted(names) if name.endswith(".json")]
