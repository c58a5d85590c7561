"""Lists the tracks that sound most like a track of a table, or like an audio file.

catalog-tagger similar table track-0001 --limit 10 --per-artist 1
"""

from typing import Any

import click

from pipelines.inputs.flags import answer, answer_flags, snapshot_flags
from pipelines.terminal.command import Command


@click.command(cls=Command)
@snapshot_flags
@click.argument("query", metavar="TRACK_ID|FILE")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=10, show_default=True, metavar="N", help="Most tracks to list."
)
@click.option("--per-artist", type=click.IntRange(1), metavar="N", help="Most tracks of one artist (default: any).")
@click.option(
    "--filter",
    "condition",
    metavar="SQL",
    help="List only tracks whose row of `tracks` meets this condition, such as \"year >= 2000 AND country = 'DE'\".",
)
@click.option(
    "--with-duplicates",
    is_flag=True,
    help="Also list near-duplicates: probably the same recording as TRACK_ID, or as a track that is listed.",
)
@click.option(
    "--exact", is_flag=True, help="Compare all tracks, even if the snapshot has a search index from `neighbours`."
)
@click.option(
    "--probes",
    type=click.IntRange(1),
    default=48,
    show_default=True,
    metavar="N",
    help="Cells of the search index that are read: more find more of the nearest tracks, and take longer.",
)
@click.option(
    "--model",
    metavar="BUNDLE",
    help="For a FILE: the bundle that tagged the table (default: where its report says it was).",
)
@answer_flags
def command(**flags: Any) -> int:
    """Compares embeddings and tags. A file that is not in the catalog is analysed in the sandbox; nothing is kept."""
    from pipelines.reading.similar import run

    return answer(run, flags)
