"""What the commands that read a table share: which snapshot is meant, and clear words when there is none."""

import argparse
from typing import TYPE_CHECKING

from pipelines.terminal.errors import CommandFailed

if TYPE_CHECKING:
    from transforms.table.snapshots import Snapshot


def add_snapshot_arguments(parser: argparse.ArgumentParser) -> None:
    """TABLE and --snapshot."""
    parser.add_argument("table", metavar="TABLE", help="root of the tables: a folder or gs://BUCKET/FOLDER")
    parser.add_argument("--snapshot", type=int, metavar="N", help="number of a snapshot; the newest by default")


def chosen_snapshot(table: str, number: int | None) -> "Snapshot":
    """The snapshot that the user means.

    Raises:
      CommandFailed: there is none, or not this one.
    """
    from transforms.storage import StorageError
    from transforms.table.snapshots import read_snapshot, snapshot_numbers

    try:
        numbers = snapshot_numbers(table)
        if not numbers:
            raise CommandFailed(
                f"{table}: no snapshot is published here; `catalog-tagger tag --table {table}` makes one"
            )
        if number is not None and number not in numbers:
            raise CommandFailed(f"{table}: no snapshot {number}; there are {_ranges(numbers)}")
        return read_snapshot(table, numbers[-1] if number is None else number)
    except (StorageError, ValueError) as error:
        raise CommandFailed(f"{table}: {error}") from error


def _ranges(numbers: list[int]) -> str:
    """Ascending numbers in few words.

    >>> _ranges([1, 2, 3, 7])
    '1 to 3, 7'
    """
    firsts = [n for n in numbers if n - 1 not in numbers]
    lasts = [n for n in numbers if n + 1 not in numbers]
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in zip(firsts, lasts, strict=True))
