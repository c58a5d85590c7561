"""Mixes styles by percentages, with tracks added and subtracted.

catalog-tagger mix table --style genre/folk=70 --style genre/funk=30 --subtract track-0001
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, snapshot_flags
from pipelines.inputs.search_flags import condition_flags, limit_flag
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.option(
    "--style",
    "styles",
    multiple=True,
    required=True,
    metavar="TAG=PERCENT",
    help="A tag of any category and its percentage, such as genre/folk=70; they are scaled to 100. Repeatable.",
)
@click.option("--add", "added", multiple=True, metavar="TRACK_ID", help="Sound more like this track. Repeatable.")
@click.option(
    "--subtract", "subtracted", multiple=True, metavar="TRACK_ID", help="Sound less like this track. Repeatable."
)
@condition_flags
@limit_flag
@answer_flags
def command(**flags: Any) -> int:
    """Prints the tracks of the mix."""
    from pipelines.reading.discovery.mix import run

    return answer(run, flags)
