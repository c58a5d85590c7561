"""Writes Apache Iceberg's metadata of a table again, for example after the table was moved.

catalog-tagger iceberg table
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@click.argument("table", metavar="TABLE")
@answer_flags
def command(**flags: Any) -> int:
    """Lists all published snapshots in Iceberg's metadata, under the place that TABLE names. No data file is changed.

    Every publication does this for its own snapshot. Run it after a table was moved or copied, because Iceberg's
    metadata name all files by absolute paths; for a table of an earlier version; or if `verify` says so.
    """
    from pipelines.jobs.iceberg import run

    return answer(run, flags)
