"""Finds a walk from one track to another.

catalog-tagger path table track-0001 track-0042
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, snapshot_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.argument("first", metavar="TRACK_ID")
@click.argument("last", metavar="TRACK_ID")
@click.option(
    "--between",
    type=click.IntRange(1, 200),
    default=6,
    show_default=True,
    metavar="N",
    help="Most tracks between the two.",
)
@answer_flags
def command(**flags: Any) -> int:
    """Prints the tracks of the walk, both ends included."""
    from pipelines.reading.discovery.path import run

    return answer(run, flags)
