"""Opens the selected snapshot, for the commands that read a table."""

from pipelines.inputs.flags import Arguments
from pipelines.terminal.errors import UsageError, checked
from transforms.publishing.finished import open_run
from transforms.table.as_of import moment_of
from transforms.table.reader import SnapshotReader, open_snapshot


def chosen_snapshot(args: Arguments) -> SnapshotReader:
    """Opens the snapshot that the flags select, or the unpublished run that `--run` of `query` names.

    Raises:
      UsageError: --as-of is not a time, or flags exclude each other.
      TableError, StorageError: there is no such snapshot, or it cannot be read.
    """
    if args.as_of is not None and args.snapshot is not None:
        raise UsageError("--snapshot and --as-of exclude each other: give one of them")
    if (run := getattr(args, "run", None)) is not None:
        if args.snapshot is not None or args.as_of is not None:
            raise UsageError("--run excludes --snapshot and --as-of: leave them out")
        return open_run(args.table, run)
    if args.as_of is not None:
        checked(moment_of, args.as_of)
    return open_snapshot(args.table, args.snapshot, as_of=args.as_of)
