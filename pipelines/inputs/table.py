"""What the commands that read a table share: which snapshot is meant, and clear words when there is none."""

from pipelines.terminal.errors import CommandFailed
from transforms.storage import StorageError
from transforms.table.snapshots import Snapshot, read_snapshot, snapshot_numbers


def chosen_snapshot(table: str, number: int | None) -> Snapshot:
    """The snapshot that the user means.

    Raises:
      CommandFailed: there is none, or not this one.
    """

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
