"""Finds the tracks of a snapshot that fit weighted tags, words and conditions best.

catalog-tagger search table "calm piano for a rainy evening" --tag genre/metal=-1 --range duration=120..300
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, snapshot_flags
from pipelines.inputs.search_flags import condition_flags, limit_flag, weights_flag
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.argument("words", metavar="[WORDS]", required=False)
@weights_flag
@condition_flags
@limit_flag
@answer_flags
def command(**flags: Any) -> int:
    """Prints the best tracks, each with what its tags add to its score."""
    from pipelines.reading.discovery.search import run

    return answer(run, flags)
