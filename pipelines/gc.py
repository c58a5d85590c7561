"""Removes files of a table that no retained snapshot and no run to come needs.

catalog-tagger gc table --keep-last 14 --apply
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.inputs.numbers import Duration, Number
from pipelines.terminal.command import Command


@click.command(cls=Command)
@click.argument("table", metavar="TABLE")
@click.option("--apply", is_flag=True, help="Remove the files. Without this flag, only count them.")
@click.option(
    "--keep-last", type=click.IntRange(1), metavar="N", help="Retain the newest N snapshots (default: all of them)."
)
@click.option(
    "--keep-days",
    type=Number(0),
    metavar="D",
    help="Retain each snapshot that was the newest one at some time in the last D days. A snapshot stays if it meets "
    "one of the two limits. The newest one always stays.",
)
@click.option(
    "--older-than",
    type=Duration(),
    default="7d",
    show_default=True,
    metavar="TIME",
    help="Keep everything that was written in this time, such as 12h or 7d. Files of a retired snapshot stay for this "
    "time and for at least one hour, because somebody may still read them.",
)
@answer_flags
def command(**flags: Any) -> int:
    """Removes part files, data files, manifests of runs, receipts and temporary files that nothing needs any more.

    Does nothing without --apply, and nothing while another job writes to the table.
    """
    from pipelines.jobs.gc import run

    return answer(run, flags)
