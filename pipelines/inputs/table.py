"""What the commands that read a table share: which snapshot is meant."""

import argparse
from typing import TYPE_CHECKING

from pipelines.terminal.errors import checked

if TYPE_CHECKING:
    from transforms.table.reader import SnapshotReader


def add_snapshot_arguments(parser: argparse.ArgumentParser) -> None:
    """TABLE, --snapshot and --as-of."""
    parser.add_argument("table", metavar="TABLE", help="root of the tables: a folder or gs://BUCKET/FOLDER")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--snapshot", type=int, metavar="N", help="number of a snapshot; the newest by default")
    which.add_argument(
        "--as-of",
        metavar="TIME",
        help="the newest snapshot at that time: 2026-01-31 (its end, UTC) or 2026-01-31T06:00",
    )


def chosen_snapshot(args: argparse.Namespace) -> "SnapshotReader":
    """Opens the snapshot that the user means.

    Raises:
      UsageError: --as-of is not a time.
      TableError, StorageError: there is no such snapshot, or it cannot be read.
    """
    from transforms.table.as_of import moment_of
    from transforms.table.reader import open_snapshot

    if args.as_of is not None:
        checked(moment_of, args.as_of)
    return open_snapshot(args.table, args.snapshot, as_of=args.as_of)
