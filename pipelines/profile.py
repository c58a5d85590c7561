"""Describes a listening history by the tags of its tracks, compared with the catalog.

catalog-tagger profile table history.csv
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, snapshot_flags
from pipelines.inputs.search_flags import limit_flag
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.argument("history", metavar="HISTORY")
@click.option(
    "--moods",
    multiple=True,
    metavar="CATEGORY",
    help="Category of moods (default: those with mood in their name). Repeatable.",
)
@click.option(
    "--styles",
    multiple=True,
    metavar="CATEGORY",
    help="Category of styles (default: those with genre or style in their name). Repeatable.",
)
@limit_flag
@answer_flags
def command(**flags: Any) -> int:
    """Prints moods, valence, arousal and styles of HISTORY, a CSV file with track_id and, if you like, plays."""
    from pipelines.reading.discovery.profile import run

    return answer(run, flags)
