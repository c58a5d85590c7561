"""Writes Apache Iceberg's metadata of a table again, for example after the table was moved.

catalog-tagger iceberg table
"""

from pipelines.inputs.flags import Arguments
from pipelines.inputs.kinds import check_writes
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import RACE_LOST, CommandFailed
from transforms import storage
from transforms.formats.quantities import quantity
from transforms.iceberg.following import follow
from transforms.iceberg.versions import absolute_root, read_version
from transforms.maintenance.leases import Busy, held
from transforms.schemas.tables import TABLES
from transforms.table.layout import iceberg_folder
from transforms.table.reader import published_numbers


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Writes the metadata of all tables anew.

    Raises:
      CommandFailed: another job writes to the table, or no snapshot can be read.
      TableError, StorageError: there is no table, or the storage fails.
    """
    check_writes("TABLE", args.table, "table")
    published = published_numbers(args.table)
    try:
        with held(args.table, "iceberg"):
            follow(args.table, anew=True)
    except Busy as busy:
        raise CommandFailed(f"nothing was written: {busy}", RACE_LOST) from busy
    root = absolute_root(args.table)
    folders = {name: storage.join(root, iceberg_folder(name)) for name in TABLES}
    listed = sorted(set.intersection(*(set(read_version(args.table, name).snapshots) for name in TABLES)))
    lines = [f"{name}: {folder}" for name, folder in folders.items()]
    left_out = sorted(set(published) - set(listed))
    lines += [f"snapshot {number} is damaged and was left out: see `verify`" for number in left_out]
    return Answer(
        text="\n".join([*lines, f"{quantity(len(listed), 'snapshot')} listed; the id of a snapshot is its number"]),
        document={"table": args.table, "snapshots": listed, "left_out": left_out, "folders": folders},
        rows=[{"name": name, "folder": folder} for name, folder in folders.items()],
    )
