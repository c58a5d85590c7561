"""Shows the snapshots of a table (when, how many tracks, made with what), or what a bundle or dataset is.

catalog-tagger describe table
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@click.argument("table", metavar="TABLE|BUNDLE|DATASET")
@click.option(
    "--parameters",
    is_flag=True,
    help="Also read the newest snapshot's tracks: how many have parameters, and how far tempo, key, metre and loudness "
    "agree with what the catalog states in columns such as bpm, musical_key, key and time_signature.",
)
@answer_flags
def command(**flags: Any) -> int:
    """Prints all snapshots of a table, the newest last; or the ids and tags of a bundle or dataset."""
    from pipelines.reading.describe import run

    return answer(run, flags)
