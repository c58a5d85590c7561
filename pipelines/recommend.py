"""Recommends artists, albums or tracks for an artist, an album or a track.

catalog-tagger recommend table --artist artist-007 --of tracks
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, snapshot_flags
from pipelines.inputs.search_flags import limit_flag, per_artist_flag
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.option("--artist", metavar="ID", help="Artist key of the catalog.")
@click.option("--album", metavar="ID", help="Album key of the catalog.")
@click.option("--track", metavar="ID", help="Catalog key of a track.")
@click.option(
    "--of",
    type=click.Choice(["artists", "albums", "tracks"]),
    help="What to recommend (default: the same as what is given). Tracks by their sound, artists and albums by the "
    "tags of their tracks.",
)
@per_artist_flag
@limit_flag
@answer_flags
def command(**flags: Any) -> int:
    """Prints the recommendations."""
    from pipelines.reading.discovery.recommend import run

    return answer(run, flags)
