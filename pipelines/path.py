"""Finds a walk from one track to another.

catalog-tagger path table track-0001 track-0042
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, snapshot_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.argument("first", metavar="A")
@click.argument("last", metavar="B")
@click.option(
    "--between",
    type=click.IntRange(1, 200),
    default=6,
    show_default=True,
    metavar="N",
    help="Most tracks between A and B.",
)
@answer_flags
def command(**flags: Any) -> int:
    """Prints the tracks of the walk, A and B included."""
    from pipelines.reading.discovery.path import run

    return answer(run, flags)
