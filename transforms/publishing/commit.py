"""Audit and commit: nothing of a run is visible until its numbered snapshot exists."""

import contextlib
import dataclasses
import datetime
import json

from transforms import storage
from transforms.audio.errors import Unknown
from transforms.formats.hashing import json_bytes
from transforms.schemas.tables import TABLES
from transforms.table.snapshots import Run, Snapshot, read_snapshot, snapshot_numbers, snapshot_path
from transforms.table.sql import duckdb_statements, locations


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gate:
    """What a run may lose and still be published.

    Attributes:
      max_reject_ratio: rejected tracks over catalog tracks.
      max_unavailable_ratio: tracks whose storage did not answer, over catalog tracks.
    """

    max_reject_ratio: float = 0.1
    max_unavailable_ratio: float = 0.0005

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"{name}={value} is not between 0 and 1")


class Refused(Exception):
    """The audit or a gate said no: the run stays unpublished, the message says why and what mends it."""


def run_path(run_id: str) -> str:
    """Where a finished run's manifest is, relative to the table root."""
    return f"runs/{run_id}.json"


def read_run(table: str, run_id: str) -> Run:
    """A finished run.

    Raises:
      storage.NotFound: no job finished under this id.
    """
    return Run.from_json(json.loads(storage.read_bytes(storage.join(table, run_path(run_id)))))


def unpublished_runs(table: str) -> list[Run]:
    """Finished runs that follow the current snapshot and are not published."""
    numbers = snapshot_numbers(table)
    latest = read_snapshot(table, numbers[-1]) if numbers else None
    names = [file.url.rsplit("/", 1)[-1] for file in storage.list_folder(storage.join(table, "runs"))]
    runs = [read_run(table, name.removesuffix(".json")) for name in names if name.endswith(".json")]
    return [run for run in runs if run.parent == (latest.number if latest else None)]


def audit(table: str, run: Run, gate: Gate) -> None:
    """Checks a finished run before it is published.

    Raises:
      Refused: ids do not balance, a file is missing or has another size, or too much was rejected.
    """
    counts = run.counts
    total = counts["tagged"] + counts["carried"] + counts["rejected"]
    if total != counts["catalog"]:
        raise Refused(f"{run.run_id}: {counts['catalog']} catalog ids, but tagged + carried + rejected = {total}")
    rows = {name: sum(f.rows for f in run.files if f.table == name) for name in TABLES}
    kept = counts["tagged"] + counts["carried"]
    if (rows["ledger"], rows["tracks"], rows["embeddings"]) != (counts["catalog"], kept, kept):
        raise Refused(f"{run.run_id}: tables hold {rows} rows, the counts are {counts}")
    if unknown := run.reasons.get(Unknown.reason, 0):
        mend = (
            f"look at `detail` of these tracks under {run_path(run.run_id)}: it is a fault of the program or its model"
        )
        raise Refused(f"{run.run_id}: {unknown} tracks failed for no known reason: {mend}")
    _check_files(table, run)
    _check_ratio(run, "unavailable", gate.max_unavailable_ratio, "run it again when the storage answers")
    _check_ratio(run, "rejected", gate.max_reject_ratio, "query the reasons below or raise --max-reject-ratio")


def _check_files(table: str, run: Run) -> None:
    sizes = {f.url: f.size for f in storage.list_files(storage.join(table, f"data/run={run.run_id}"))}
    for file in run.files:
        size = sizes.get(storage.join(table, file.path))
        if size != file.bytes:
            raise Refused(f"{file.path}: {size} bytes in storage, {file.bytes} in the run: run the job again")


def _check_ratio(run: Run, count: str, limit: float, mend: str) -> None:
    found, total = run.counts[count], run.counts["catalog"]
    if found > limit * total:
        reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(run.reasons.items(), key=lambda item: -item[1]))
        raise Refused(f"{found} of {total} tracks {count}, more than {limit:.4g} of them ({reasons}): {mend}")


def publish(table: str, run: Run, gate: Gate) -> Snapshot:
    """Audits a finished run and commits it as the next snapshot; publishing it again returns the same snapshot.

    Raises:
      Refused: the audit said no, or the table has moved on since the run was planned.
    """
    published = _published_as(table, run)
    if published is None:
        audit(table, run, gate)
        published = _commit(table, run)
    write_hints(table, published)
    return published


def _published_as(table: str, run: Run) -> Snapshot | None:
    """The snapshot that published this run: it can only be the one after the run's parent.

    Raises:
      Refused: the table has moved on, also where the snapshot after the parent is not kept any more.
    """
    number, numbers = (run.parent or 0) + 1, snapshot_numbers(table)
    if not numbers or numbers[-1] < number:
        return None
    snapshot = read_snapshot(table, number) if number in numbers else None
    if snapshot is None or snapshot.run.run_id != run.run_id:
        raise Refused(
            f"{run.run_id} follows snapshot {run.parent}, but {numbers[-1]} is already there: run `tag` again"
        )
    return snapshot


def _commit(table: str, run: Run) -> Snapshot:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    snapshot = Snapshot(number=(run.parent or 0) + 1, created=now, run=run)
    url = storage.join(table, snapshot_path(snapshot.number))
    with contextlib.suppress(storage.AlreadyExists):  # another publisher was first: the caller reads whose it is
        storage.create(url, json_bytes(snapshot.to_json()))
    winner = _published_as(table, run)
    if winner is None:
        raise Refused(f"{url} was written but is not listed: run `publish` again")
    return winner


def write_hints(table: str, snapshot: Snapshot) -> None:
    """Plain file lists beside the snapshot (create-only) and `current.{json,sql}` (replaced)."""
    for name in TABLES:
        paths = "".join(f"{place}\n" for place in locations(table, snapshot, name))
        url = storage.join(table, f"manifests/{snapshot.number:010d}/{name}.txt")
        with contextlib.suppress(storage.AlreadyExists):
            storage.create(url, paths.encode())
    numbers = snapshot_numbers(table)
    if numbers[-1] == snapshot.number:
        hint = {"number": snapshot.number, "path": snapshot_path(snapshot.number)}
        storage.write_bytes(storage.join(table, "current.json"), json_bytes(hint))
        storage.write_bytes(storage.join(table, "current.sql"), duckdb_statements(table, snapshot).encode())
