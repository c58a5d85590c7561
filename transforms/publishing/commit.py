"""Audit and commit: readers see a run only after its numbered snapshot exists."""

import contextlib
import dataclasses
import datetime
import logging

from transforms import storage
from transforms.formats.hashing import json_bytes
from transforms.formats.inner_paths import inner_path
from transforms.formats.sealing import read_record, sealed_bytes
from transforms.iceberg.following import follow_commit
from transforms.publishing.audit import RaceLost, audit
from transforms.publishing.gates import GateLimits
from transforms.publishing.judging import gates_json
from transforms.publishing.overrides import Override, check_recorded, earlier_overrides, override_records
from transforms.table.layout import run_path, snapshot_path
from transforms.table.plain_lists import files_of_lists, manifest_path, plain_lists
from transforms.table.reader import open_snapshot
from transforms.table.readme import README_MARK, readme
from transforms.table.snapshots import Run, Snapshot, current_snapshot, read_snapshot, snapshot_numbers
from transforms.table.sql import current_statements
from transforms.table.versions import (
    LEVELS,
    NEIGHBOURS,
    PARAMETERS,
    RULES,
    TableError,
    is_sealed,
    read_table_metadata,
    require_versions,
)

_README_BYTES = 1 << 20
_log = logging.getLogger(__name__)


def read_run(root: str, run_id: str) -> Run:
    """Reads a finished run.

    Raises:
      storage.NotFound: there is no finished run of this id.
      TableError: the id is no plain name, or the run's manifest is damaged.
    """
    try:
        url = storage.join(root, run_path(inner_path(run_id)))
    except ValueError as error:
        raise TableError(f"{root}: no run can have this id: {error}") from error
    return read_record(url, "a run", Run.from_json, TableError, must_be_sealed=lambda: is_sealed(root))


def unpublished_runs(root: str) -> list[Run]:
    """Finished runs that follow the current snapshot and are not published."""
    latest = current_snapshot(root)
    names = [file.url.rsplit("/", 1)[-1] for file in storage.list_folder(storage.join(root, "runs"))]
    runs = [read_run(root, name.removesuffix(".json")) for name in names if name.endswith(".json")]
    return [run for run in runs if run.parent == (latest.number if latest else None)]


def write_run(root: str, run: Run) -> Run:
    """Writes the manifest of a run unless it exists already; returns the run that is stored under its id."""
    url, data = storage.join(root, run_path(run.run_id)), sealed_bytes(run.to_json())
    try:
        storage.create(url, data)
    except storage.AlreadyExists:
        try:
            return read_run(root, run.run_id)
        except TableError:  # damaged: nobody can publish it, and the id leaves no other name
            storage.write_bytes(url, data)
    return read_run(root, run.run_id)


def publish(root: str, run: Run, limits: GateLimits, override: Override | None = None) -> Snapshot:
    """Audits a finished run and commits it as the next snapshot; publishing it again returns the same snapshot.

    Args:
      override: gates that may fail, and why; the snapshot records it.

    Raises:
      Refused: a gate failed that is not overridden.
      OverrideError: a gate to be overridden did not fail, or the run is already published without it.
      RaceLost: another run was published since this one was planned.
      TableError: the table needs a newer writer.
      storage.NotFound: its `table.json` is missing.
    """
    read_table_metadata(root, writing=True)
    published = _published_as(root, run)
    if published is None:
        results = audit(root, run, limits, override.gates if override else ())
        overrides = override_records(override, results, run) if override else ()
        return commit_run(root, dataclasses.replace(run, gates=gates_json(results), overrides=overrides))
    if override is not None:
        check_recorded(override, published)
    tell_readers(root, published)
    return published


def commit_run(root: str, run: Run) -> Snapshot:
    """Commits an audited run as the next snapshot and tells its readers.

    The snapshot gets the overrides of all snapshots before it, so that they are known when those are removed.

    Raises:
      RaceLost: another run was published since this one was planned.
    """
    overrides = (*earlier_overrides(root, run.parent), *run.overrides)
    _complete_lists(root, run.parent)
    published = _commit(root, dataclasses.replace(run, overrides=overrides))
    tell_readers(root, published)
    return published


def tell_readers(root: str, snapshot: Snapshot) -> None:
    """Writes everything that follows from a published snapshot: file lists, hints, Iceberg's metadata."""
    write_hints(root, snapshot)
    follow_commit(root)


def _published_as(root: str, run: Run) -> Snapshot | None:
    """The snapshot that published this run, which can only be the one after the run's parent; None if there is none.

    Raises:
      RaceLost: another run was published after the parent, also if that snapshot was removed since.
    """
    number, numbers = (run.parent or 0) + 1, snapshot_numbers(root)
    if not numbers or numbers[-1] < number:
        return None
    snapshot = read_snapshot(root, number) if number in numbers else None
    if snapshot is None or snapshot.run.run_id != run.run_id:
        raise RaceLost(
            f"{run.run_id} follows snapshot {run.parent}, but snapshot {numbers[-1]} is already published: "
            f"run `{'tag' if run.rolled_back_to is None else 'rollback'}` again"
        )
    return snapshot


def _commit(root: str, run: Run) -> Snapshot:
    snapshot = Snapshot(number=(run.parent or 0) + 1, created=_commit_time(root, run.parent), run=run)
    url = storage.join(root, snapshot_path(snapshot.number))
    if run.has_levels:
        require_versions(root, LEVELS)
    if run.neighbours:
        require_versions(root, NEIGHBOURS)
    if run.parameters.get("parameters_id"):
        require_versions(root, PARAMETERS)
    if run.rules:
        require_versions(root, RULES)
    with contextlib.suppress(storage.AlreadyExists):  # another publisher was first: `_published_as` checks its run
        storage.create(url, sealed_bytes(snapshot.to_json()))
    winner = _published_as(root, run)
    if winner is None:
        raise RaceLost(f"{url} was written but is not listed: run `publish` again")
    return winner


def _commit_time(root: str, parent: int | None) -> str:
    """The time now, or that of the parent if the clock is behind it: times of snapshots never decrease."""
    now = datetime.datetime.now(datetime.UTC)
    with contextlib.suppress(storage.NotFound, TableError):  # the parent may have been removed, or be damaged
        if parent is not None:
            now = max(now, datetime.datetime.fromisoformat(read_snapshot(root, parent).created))
    return now.isoformat(timespec="seconds")


def _complete_lists(root: str, parent: int | None) -> None:
    """Writes the plain file lists of the parent, if its publisher was stopped before it had written all of them."""
    with contextlib.suppress(storage.NotFound, TableError):  # the parent may have been removed, or be damaged
        if parent is not None:
            snapshot = read_snapshot(root, parent)
            *_, last = files_of_lists(snapshot)
            if not storage.exists(storage.join(root, manifest_path(parent, last))):
                write_hints(root, snapshot)


def write_hints(root: str, snapshot: Snapshot, *, replace: bool = False) -> None:
    """Writes the plain file lists of a snapshot (create-only unless `replace`), and the hints of the newest one.

    The hints `current.{json,sql}` and `README.md` are replaced.
    """
    write = storage.write_bytes if replace else storage.create
    reader = open_snapshot(root, snapshot.number)
    for name, urls in plain_lists(reader).items():
        lines = "".join(f"{url}\n" for url in urls)
        with contextlib.suppress(storage.AlreadyExists):
            write(storage.join(root, manifest_path(snapshot.number, name)), lines.encode())
    numbers = snapshot_numbers(root)
    if numbers[-1] == snapshot.number:
        hint = {"number": snapshot.number, "path": snapshot_path(snapshot.number), "compacted": reader.compacted}
        storage.write_bytes(storage.join(root, "current.json"), json_bytes(hint))
        storage.write_bytes(storage.join(root, "current.sql"), current_statements(reader).encode())
        _write_readme(root, snapshot)


def _write_readme(root: str, snapshot: Snapshot) -> None:
    """Writes the README of the table, but not over another one. Nothing depends on it, so an error is a warning."""
    url = storage.join(root, "README.md")
    try:
        if _is_own_readme(url):
            storage.write_bytes(url, readme(snapshot).encode())
    except storage.StorageError as error:
        _log.warning("the README of the table cannot be written: %s", error)


def _is_own_readme(url: str) -> bool:
    """Whether the README may be written: there is none, or an earlier one of this program."""
    try:
        return storage.read_bytes(url, max_bytes=_README_BYTES).startswith(README_MARK.encode())
    except storage.NotFound:
        return True
    except storage.TooLarge:
        return False
