"""Finds the tracks of a snapshot that fit weighted tags, words and conditions best.

catalog-tagger search table "calm piano for a rainy evening" --tag genre/metal=-1 --range duration=120..300
catalog-tagger search table --sounds-like "a slow piano piece, far away" --text-model models/text
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
@click.option(
    "--sounds-like",
    metavar="TEXT",
    help="A text that says what the music sounds like, such as 'calm piano for a rainy evening': --text-model compares "
    "it with the tracks.",
)
@click.option(
    "--text-model",
    metavar="BUNDLE",
    help="Bundle of `import-model text`, whose trunk is one of those that the table's embeddings are of.",
)
@condition_flags
@limit_flag
@answer_flags
def command(**flags: Any) -> int:
    """Prints the best tracks, each with what its tags add to its score."""
    from pipelines.reading.discovery.search import run

    return answer(run, flags)
