"""Opens the selected snapshot, for the commands that read a table."""

from pipelines.inputs.flags import Arguments
from pipelines.terminal.errors import UsageError, checked
from transforms.table.as_of import moment_of
from transforms.table.reader import SnapshotReader, open_snapshot


def chosen_snapshot(args: Arguments) -> SnapshotReader:
    """Opens the snapshot that the flags select.

    Raises:
      UsageError: --as-of is not a time.
      TableError, StorageError: there is no such snapshot, or it cannot be read.
    """
    if args.as_of is not None and args.snapshot is not None:
        raise UsageError("--snapshot and --as-of exclude each other: give one of them")
    if args.as_of is not None:
        checked(moment_of, args.as_of)
    return open_snapshot(args.table, args.snapshot, as_of=args.as_of)
