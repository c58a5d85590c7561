"""Opens a finished run that is not published, for example because a gate refused it."""

from transforms import storage
from transforms.publishing.commit import read_run, unpublished_runs
from transforms.table.reader import SnapshotReader
from transforms.table.snapshots import Snapshot
from transforms.table.versions import TableError, read_table_metadata


def open_run(root: str, run_id: str) -> SnapshotReader:
    """The tables of a finished run, in the form of the snapshot that it would have become.

    Raises:
      TableError: there is no finished run of this id; the message names those that are not published.
      storage.StorageError: the table cannot be read.
    """
    try:
        run = read_run(root, run_id)
        buckets = read_table_metadata(root).buckets
    except storage.NotFound as error:
        waiting = ", ".join(run.run_id for run in unpublished_runs(root)) or "none"
        raise TableError(f"{root}: no finished run {run_id!r}; finished and not published: {waiting}") from error
    number = (run.parent or 0) + 1
    return SnapshotReader(root=root, manifest=Snapshot(number=number, created="", run=run), buckets=buckets)
