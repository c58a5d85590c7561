"""Shows the snapshots of a table: when, how many tracks, made with what, and the hash of their content.

catalog-tagger describe table
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@click.argument("table", metavar="TABLE")
@answer_flags
def command(**flags: Any) -> int:
    """Prints all snapshots, the newest last."""
    from pipelines.reading.describe import run

    return answer(run, flags)
