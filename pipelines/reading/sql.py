"""Prints the statements that open a snapshot in an engine.

catalog-tagger sql gs://bucket/table --engine bigquery | bq query --dataset_id=catalog --nouse_legacy_sql
"""

from pipelines.inputs.flags import Arguments
from pipelines.inputs.table import chosen_snapshot
from pipelines.terminal.answer import Answer
from pipelines.terminal.errors import UsageError
from transforms.table.reader import SnapshotReader, open_snapshot
from transforms.table.sql import SQL_ENGINES


def run(args: Arguments, beam_args: list[str]) -> Answer:
    """Returns the statements."""
    snapshot = chosen_snapshot(args)
    others = [(f"snapshot_{number}_", open_snapshot(args.table, number)) for number in args.also_snapshot]
    if args.previous:
        others.append(("previous_", _before(snapshot)))
    opened = [("", snapshot), *others]
    try:
        statements = "".join(SQL_ENGINES[args.engine](reader, prefix) for prefix, reader in opened)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return Answer(
        text=statements.rstrip("\n"),
        is_program=True,
        document={"engine": args.engine, "snapshot": snapshot.manifest.number, "statements": statements},
        all=True,
    )


def _before(snapshot: SnapshotReader) -> SnapshotReader:
    found = snapshot.previous()
    if found is None:
        number = snapshot.manifest.number
        raise UsageError(f"--previous: there is no snapshot before snapshot {number}: leave the flag out")
    return found
