"""Makes a playlist from seeds, tags and words, or extends one.

catalog-tagger playlist table --seed track-0001 --tag mood/calm --minutes 60 --flow tempo=rising --output evening.m3u8
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, force_flag, snapshot_flags
from pipelines.inputs.numbers import RATIO, Number
from pipelines.inputs.search_flags import condition_flags, per_artist_flag, weights_flag
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.argument("words", metavar="[WORDS]", required=False)
@click.option(
    "--seed",
    "seeds",
    multiple=True,
    metavar="TRACK_ID",
    help="Tracks that sound like this one; it is not in the playlist itself. Repeatable.",
)
@weights_flag
@condition_flags
@click.option("--tracks", type=click.IntRange(1, 1_000), metavar="N", help="Most tracks (default: 20, or --minutes).")
@click.option("--minutes", type=Number(0, 6_000, above=True), metavar="M", help="Greatest length in minutes.")
@per_artist_flag
@click.option(
    "--flow",
    "flows",
    multiple=True,
    metavar="PROPERTY=SHAPE",
    help="Course of tempo, key or energy through the playlist: constant, rising or arc (up, then down). Keys are "
    "compared on the Camelot wheel. The table needs such columns. Repeatable.",
)
@click.option(
    "--diversity",
    type=RATIO,
    default=0.3,
    show_default=True,
    metavar="SHARE",
    help="0: only relevance counts. 1: only the difference to the tracks chosen before.",
)
@click.option("--exclude", multiple=True, metavar="TRACK_ID", help="Never this track. Repeatable.")
@click.option(
    "--exclude-from", multiple=True, metavar="FILE", help="None of the tracks of this M3U or CSV file. Repeatable."
)
@click.option(
    "--extend",
    metavar="FILE",
    help="Begin with the tracks of this M3U file, or CSV file with a column track_id. They count for all limits.",
)
@click.option(
    "--catalog-root", metavar="FOLDER", help="Folder or gs:// prefix that the relative uris of the catalog start from."
)
@click.option("--title", metavar="TEXT", help="Title of the playlist (default: the name of the file).")
@click.option("--output", metavar="FILE", help="Write the playlist there: .m3u8, .m3u, .xspf, .csv or .json.")
@force_flag
@answer_flags
def command(**flags: Any) -> int:
    """Prints the playlist, and writes it if a file is given."""
    from pipelines.reading.discovery.playlist import run

    return answer(run, flags)
