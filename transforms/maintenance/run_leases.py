"""The leases of a run of `tag`, which writes to its own table and to those of further bundles."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from transforms.maintenance.leases import Busy, Launch, held
from transforms.publishing.audit import RaceLost
from transforms.table.snapshots import snapshot_numbers


@contextlib.contextmanager
def held_for_run(
    tables: Sequence[str], launch: str, parent: int | None, *, detached: bool, elsewhere: bool, dry_run: bool
) -> Iterator[None]:
    """Holds a lease of each table during the block; none for a dry run.

    Args:
      tables: the table of the run, then further ones.
      launch: path of the receipt with which the job ends.
      parent: number of the snapshot that the run was planned on.
      detached: whether nobody waits for the job.
      elsewhere: whether the job runs on other machines.
      dry_run: whether no job is started.

    Raises:
      RaceLost: another run was published since this one was planned, or an exclusive job does not end.
    """
    if dry_run:
        yield
        return
    with contextlib.ExitStack() as stack:
        for number, table in enumerate(tables):
            own = Launch(launch, _absolute(tables[0]) if number else None, elsewhere)
            try:
                stack.enter_context(held(table, "tag", launch=own, detached=detached))
            except Busy as busy:
                raise RaceLost(str(busy)) from busy
        numbers = snapshot_numbers(tables[0])
        if (numbers[-1] if numbers else None) != parent:
            raise RaceLost(f"a run was planned on snapshot {parent}, but snapshot {numbers[-1:]} is already published")
        yield


def _absolute(table: str) -> str:
    return table if "://" in table else str(Path(table).absolute())
