"""Receipts: the last step of `tag` or `prepare` reports to its launcher in one file per launch.

Launches are ordered by their names: first by the snapshot that they follow, then by a number that one create-only file
gives to each. No clock decides which launch is newer.
"""

import dataclasses
import re
from typing import Any, Self

from transforms import storage
from transforms.formats.inner_paths import inner_path
from transforms.formats.quantities import quantity
from transforms.formats.sealing import read_record, sealed_bytes
from transforms.table.versions import TableError

FOLDER = "launches"
OF_DRY_RUN = f"{FOLDER}/dry-run.json"
"""Path of the receipt of a job that is built and not launched. Nobody writes it."""

_BEGUN, _ENDED = ".begun", ".json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Receipt:
    """The result of one launch.

    Attributes:
      run_id: the finished run of `tag`; None if the catalog has problems or rows are missing, and for `prepare`.
      counts: counts of this launch, including what it decoded and what it reused.
      problem_count: number of problems of the catalog.
      problems: the first of the problems.
      gates: names of the gates that refuse the catalog for its problems; empty if it has other problems too.
      refused: why `prepare` did not finish the dataset, or `tag` did not finish the run; None if no gate failed. For
        `tag`, this is only the gate `counted`: `publish` checks the others.
      measured: measured work of the launch, see `WorkTotals.to_json`.
      plan: what the launch of `tag` expected and what happened, see `Run.plan`; empty for `prepare`.
      tracks: what the report of the run names: `slowest` and `heaviest` tracks of this launch, see
        `CostlyTracks.to_json`, and `rejects`, see `Evidence.examples`. They are in no manifest, so that a takedown
        leaves no id behind. Empty for `prepare` and for launches of earlier versions.
    """

    run_id: str | None
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    problem_count: int = 0
    problems: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    refused: str | None = None
    measured: dict[str, Any] = dataclasses.field(default_factory=dict)
    plan: dict[str, Any] = dataclasses.field(default_factory=dict)
    tracks: dict[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json(cls, obj: dict[str, Any]) -> Self:
        """The receipt that `write` wrote; fields of later versions are ignored."""
        if obj["run_id"] is not None:
            inner_path(obj["run_id"])
        names = {field.name for field in dataclasses.fields(cls)}
        lists = {"problems": tuple(obj["problems"]), "gates": tuple(obj.get("gates", ()))}
        return cls(**{name: obj[name] for name in names & obj.keys()} | lists)

    def problem_report(self, done: str) -> str:
        """The problems as text for a user. `done` is the participle of what was not done, such as `tagged`."""
        gates = "".join(f"gate {gate}: " for gate in self.gates)
        return "\n".join(
            [f"{gates}{quantity(self.problem_count, 'problem')} in the catalog, nothing was {done}:", *self.problems]
        )


def begin(root: str, parent: int | None = None) -> str:
    """Gives a new launch its number; returns the path of its receipt, relative to the root of the table or dataset.

    Args:
      parent: number of the snapshot that the launch follows; None for the first one, and for a dataset.
    """
    # Receipts of earlier versions are named by time: their names begin with a digit and sort before these.
    prefix = f"launch-{parent or 0:010d}-"
    names = [name.partition(".")[0] for name in _names(root) if name.startswith(prefix)]
    number = max((int(name.removeprefix(prefix)) for name in names), default=0)
    while True:
        number += 1
        path = f"{FOLDER}/{prefix}{number:06d}"
        try:
            storage.create(storage.join(root, path + _BEGUN), b"")
        except storage.AlreadyExists:  # another launch began at the same time
            continue
        return path + _ENDED


def parent_of(path: str) -> int:
    """Number of the snapshot that a launch follows, by its path; 0 if it is the first one, or of an earlier version."""
    found = re.search(r"launch-(\d{10})-\d+", path)
    return int(found[1]) if found else 0


def write(root: str, path: str, receipt: Receipt) -> None:
    """Writes a launch's receipt, or replaces it if the job's last step is retried. Its sentences contain no secrets."""
    fields = dataclasses.asdict(receipt)
    fields["problems"] = [storage.redact(problem) for problem in receipt.problems]
    fields["refused"] = None if receipt.refused is None else storage.redact(receipt.refused)
    storage.write_bytes(storage.join(root, path), sealed_bytes(fields))


def read(root: str, path: str) -> Receipt:
    """Reads the receipt of one launch.

    Raises:
      storage.NotFound: the job has not ended, or its run is published.
      TableError: the receipt is damaged.
    """
    return read_record(storage.join(root, path), "a receipt", Receipt.from_json, TableError)


def newest(root: str) -> Receipt | None:
    """The receipt of the latest launch among those that have ended and are not published; None if there is none.

    Raises:
      TableError: it is damaged.
    """
    paths = _paths(root)
    if not paths:
        return None
    try:
        return read(root, paths[-1])
    except TableError as error:
        raise TableError(f"{error}; or remove it, and give `publish` the id of the run") from error


def of_run(root: str, run_id: str) -> Receipt | None:
    """The receipt of the latest launch that finished a run; None if there is none, or it is damaged."""
    paths = [path for path in _paths(root) if _run_of(root, path) == run_id]
    return read(root, paths[-1]) if paths else None


def is_pending(root: str, path: str) -> bool:
    """Whether a launch has begun, and has neither ended nor been forgotten."""
    begun = storage.join(root, path.removesuffix(_ENDED) + _BEGUN)
    return storage.exists(begun) and not storage.exists(storage.join(root, path))


def forget(root: str, path: str) -> None:
    """Removes one receipt, and the mark that its launch has begun."""
    storage.delete(storage.join(root, path))
    storage.delete(storage.join(root, path.removesuffix(_ENDED) + _BEGUN))


def forget_run(root: str, run_id: str) -> None:
    """Removes the receipts of a published run and of all earlier launches."""
    paths = _paths(root)
    own = [path for path in paths if _run_of(root, path) == run_id]
    for path in paths if own else ():
        if path <= own[-1]:
            forget(root, path)


def _run_of(root: str, path: str) -> str | None:
    """The run of a receipt; None if it has none or is damaged, because the run is published all the same."""
    try:
        return read(root, path).run_id
    except TableError:
        return None


def _paths(root: str) -> list[str]:
    return [f"{FOLDER}/{name}" for name in _names(root) if name.endswith(_ENDED)]


def _names(root: str) -> list[str]:
    return sorted(file.url.rpartition("/")[2] for file in storage.list_folder(storage.join(root, FOLDER)))
